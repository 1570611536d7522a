from ._across_cohorts import COHORTS as COHORTS
from ._across_cohorts import THESIS as THESIS
from ._across_cohorts import all_results as all_results
from ._across_cohorts import archived as archived
from ._across_cohorts import best_probe as best_probe
from ._across_cohorts import groups_that_lost as groups_that_lost
from ._across_cohorts import introduced as introduced
from ._across_cohorts import inventory as inventory
from ._across_cohorts import of_profile as of_profile
from ._across_cohorts import points as points
from ._across_cohorts import share_closed as share_closed
from ._across_cohorts import thesis_table as thesis_table
from ._archive import Results as Results
from ._archive import archive_results as archive_results
from ._archive import compare_results as compare_results
from ._archive import load_results as load_results
from ._chapter import execute_chapter as execute_chapter
from ._experiment import collect as collect
from ._experiment import data_run as data_run
from ._experiment import results as results
from ._experiment import run_experiment as run_experiment
from ._experiment import train_run as train_run
from ._notebooks import notebook_parameters as notebook_parameters
from ._plans import Plan as Plan
from ._plans import experiments as experiments
from ._plans import plan as plan
from ._run_audit import audit_run as audit_run
from ._run_audit import leakage as leakage
from ._significance import board as board
from ._significance import contest as contest
from ._significance import counted as counted
from ._significance import ranked as ranked
from ._significance import said as said
from ._significance import tuned as tuned
from ._significance import written as written
from ._summaries import HEADLINE as HEADLINE
from ._summaries import ablation as ablation
from ._summaries import adversaries as adversaries
from ._summaries import by_group as by_group
from ._summaries import changed as changed
from ._summaries import headline as headline
from ._summaries import levelled as levelled
from ._summaries import levelling as levelling
from ._summaries import origin as origin
from ._summaries import summary as summary
from ._summaries import verdict as verdict

__all__ = [
    "COHORTS",
    "HEADLINE",
    "THESIS",
    "Plan",
    "Results",
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
