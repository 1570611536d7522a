from ._across_cohorts import COHORTS as COHORTS
from ._across_cohorts import THESIS as THESIS
from ._across_cohorts import archive_inventory as archive_inventory
from ._across_cohorts import best_probes as best_probes
from ._across_cohorts import groups_that_lost as groups_that_lost
from ._across_cohorts import headline_intervals as headline_intervals
from ._across_cohorts import introduction as introduction
from ._across_cohorts import load_all as load_all
from ._across_cohorts import load_archived as load_archived
from ._across_cohorts import load_profile as load_profile
from ._across_cohorts import share_of_oracle_distance as share_of_oracle_distance
from ._across_cohorts import thesis_table as thesis_table
from ._archive import Results as Results
from ._archive import archive_results as archive_results
from ._archive import compare_results as compare_results
from ._archive import load_results as load_results
from ._chapter import execute_chapter as execute_chapter
from ._collect import OF_RUN as OF_RUN
from ._collect import collect as collect
from ._collect import reaudit as reaudit
from ._contrasts import NARROW as NARROW
from ._contrasts import contrasts as contrasts
from ._every_group import every_group as every_group
from ._every_group import fixed_group_gaps as fixed_group_gaps
from ._experiment import data_run as data_run
from ._experiment import results as results
from ._experiment import run_experiment as run_experiment
from ._experiment import run_shard as run_shard
from ._experiment import train_run as train_run
from ._hypotheses import EXPECTED as EXPECTED
from ._hypotheses import Hypothesis as Hypothesis
from ._hypotheses import hypotheses_across as hypotheses_across
from ._hypotheses import hypotheses_told as hypotheses_told
from ._hypotheses import hypothesis_sentences as hypothesis_sentences
from ._kept import INFERENCE as INFERENCE
from ._kept import archived_embeddings as archived_embeddings
from ._method_sentences import against_sentence as against_sentence
from ._method_sentences import edge_sentence as edge_sentence
from ._method_sentences import fooled_sentence as fooled_sentence
from ._method_sentences import oracle_sentence as oracle_sentence
from ._method_sentences import tuning_sentence as tuning_sentence
from ._notebooks import notebook_parameters as notebook_parameters
from ._out_of_fold import OUT_OF_FOLD as OUT_OF_FOLD
from ._out_of_fold import design_of as design_of
from ._out_of_fold import out_of_fold as out_of_fold
from ._plans import Plan as Plan
from ._plans import experiments as experiments
from ._plans import plan as plan
from ._pooled import contrasts_out_of_fold as contrasts_out_of_fold
from ._pooled import pooled_contrasts as pooled_contrasts
from ._price import detectable_gaps as detectable_gaps
from ._price import errors_in_patients as errors_in_patients
from ._reading import ShownTable as ShownTable
from ._reading import check_answer as check_answer
from ._reading import shown as shown
from ._run_audit import audit_run as audit_run
from ._run_audit import probe_run as probe_run
from ._settings import settings_audits as settings_audits
from ._settings import settings_changes as settings_changes
from ._settings import settings_map as settings_map
from ._settings import settings_numbers as settings_numbers
from ._settings import split_settings as split_settings
from ._significance import comparison_sentences as comparison_sentences
from ._significance import outcome_sentence as outcome_sentence
from ._significance import rank_methods as rank_methods
from ._significance import significance_table as significance_table
from ._significance import significance_tests as significance_tests
from ._significance import tests_for_reading as tests_for_reading
from ._significance import tuned_settings as tuned_settings
from ._summaries import HEADLINE as HEADLINE
from ._summaries import ablation_table as ablation_table
from ._summaries import adversaries_and_probes as adversaries_and_probes
from ._summaries import changed_settings as changed_settings
from ._summaries import gap_conclusions as gap_conclusions
from ._summaries import group_levelling as group_levelling
from ._summaries import group_metrics as group_metrics
from ._summaries import headline_numbers as headline_numbers
from ._summaries import levelling_table as levelling_table
from ._summaries import provenance_note as provenance_note
from ._summaries import summary_table as summary_table
from ._twins import twin_numbers as twin_numbers
from ._twins import twin_table as twin_table
from ._use import disentangled_counts as disentangled_counts
from ._use import disentanglement_sentences as disentanglement_sentences
from ._use import disentanglement_table as disentanglement_table
from ._use import use_table as use_table
from ._vectors import changes_on_vectors as changes_on_vectors
from ._vectors import groups_on_vectors as groups_on_vectors
from ._vectors import runs_on_vectors as runs_on_vectors
from ._vectors import vectors_summary as vectors_summary

__all__ = [
    "COHORTS",
    "EXPECTED",
    "HEADLINE",
    "INFERENCE",
    "NARROW",
    "OF_RUN",
    "OUT_OF_FOLD",
    "THESIS",
    "Hypothesis",
    "Plan",
    "Results",
    "ShownTable",
    "ablation_table",
    "adversaries_and_probes",
    "against_sentence",
    "archive_inventory",
    "archive_results",
    "archived_embeddings",
    "audit_run",
    "best_probes",
    "changed_settings",
    "changes_on_vectors",
    "check_answer",
    "collect",
    "compare_results",
    "comparison_sentences",
    "contrasts",
    "contrasts_out_of_fold",
    "data_run",
    "design_of",
    "detectable_gaps",
    "disentangled_counts",
    "disentanglement_sentences",
    "disentanglement_table",
    "edge_sentence",
    "errors_in_patients",
    "every_group",
    "execute_chapter",
    "experiments",
    "fixed_group_gaps",
    "fooled_sentence",
    "gap_conclusions",
    "group_levelling",
    "group_metrics",
    "groups_on_vectors",
    "groups_that_lost",
    "headline_intervals",
    "headline_numbers",
    "hypotheses_across",
    "hypotheses_told",
    "hypothesis_sentences",
    "introduction",
    "levelling_table",
    "load_all",
    "load_archived",
    "load_profile",
    "load_results",
    "notebook_parameters",
    "oracle_sentence",
    "out_of_fold",
    "outcome_sentence",
    "plan",
    "pooled_contrasts",
    "probe_run",
    "provenance_note",
    "rank_methods",
    "reaudit",
    "results",
    "run_experiment",
    "run_shard",
    "runs_on_vectors",
    "settings_audits",
    "settings_changes",
    "settings_map",
    "settings_numbers",
    "share_of_oracle_distance",
    "shown",
    "significance_table",
    "significance_tests",
    "split_settings",
    "summary_table",
    "tests_for_reading",
    "thesis_table",
    "train_run",
    "tuned_settings",
    "tuning_sentence",
    "twin_numbers",
    "twin_table",
    "use_table",
    "vectors_summary",
]
