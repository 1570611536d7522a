from ._across_cohorts import COHORTS as COHORTS, THESIS as THESIS, all_results as all_results, archived as archived, best_probe as best_probe, groups_that_lost as groups_that_lost, introduced as introduced, inventory as inventory, of_profile as of_profile, points as points, share_closed as share_closed, thesis_table as thesis_table
from ._archive import Results as Results, archive_results as archive_results, compare_results as compare_results, load_results as load_results
from ._chapter import execute_chapter as execute_chapter
from ._experiment import collect as collect, data_run as data_run, results as results, run_experiment as run_experiment, train_run as train_run
from ._notebooks import notebook_parameters as notebook_parameters
from ._plans import Plan as Plan, experiments as experiments, plan as plan
from ._run_audit import audit_run as audit_run, leakage as leakage
from ._significance import board as board, contest as contest, counted as counted, ranked as ranked, said as said, tuned as tuned, written as written
from ._summaries import HEADLINE as HEADLINE, ablation as ablation, adversaries as adversaries, by_group as by_group, changed as changed, headline as headline, levelled as levelled, levelling as levelling, origin as origin, summary as summary, verdict as verdict

__all__ = [
    "COHORTS",
    "HEADLINE",
    "Plan",
    "Results",
    "THESIS",
    "ablation",
    "adversaries",
    "all_results",
    "archive_results",
    "archived",
    "audit_run",
    "best_probe",
    "board",
    "by_group",
    "changed",
    "collect",
    "compare_results",
    "contest",
    "counted",
    "data_run",
    "execute_chapter",
    "experiments",
    "groups_that_lost",
    "headline",
    "introduced",
    "inventory",
    "leakage",
    "levelled",
    "levelling",
    "load_results",
    "notebook_parameters",
    "of_profile",
    "origin",
    "plan",
    "points",
    "ranked",
    "results",
    "run_experiment",
    "said",
    "share_closed",
    "summary",
    "thesis_table",
    "train_run",
    "tuned",
    "verdict",
    "written",
]
