from ._audit import audit as audit
from ._averages import Average as Average
from ._checklist import CHECKLIST_FORMS as CHECKLIST_FORMS
from ._checklist import checklist as checklist
from ._checklist import checklist_sources as checklist_sources
from ._checklist import checklist_text as checklist_text
from ._compare import Comparison as Comparison
from ._compare import compare as compare
from ._decisions import Decided as Decided
from ._decisions import Decisions as Decisions
from ._estimates import unanimous_interval as unanimous_interval
from ._findings import wanted_targets as wanted_targets
from ._levelling import Levelling as Levelling
from ._levelling import Levellings as Levellings
from ._metrics import CALIBRATION as CALIBRATION
from ._metrics import FIXED as FIXED
from ._metrics import RESAMPLED_METRICS as RESAMPLED_METRICS
from ._metrics import TESTED_METRICS as TESTED_METRICS
from ._metrics import WITHIN_LABEL as WITHIN_LABEL
from ._metrics import bin_residuals as bin_residuals
from ._monitor import monitor as monitor
from ._monitor_report import MonitorReport as MonitorReport
from ._multitarget import macro as macro
from ._multitarget import multiclass_table as multiclass_table
from ._multitarget import multilabel_table as multilabel_table
from ._outcome_metrics import outcome_columns as outcome_columns
from ._outcome_report import OutcomeEstimate as OutcomeEstimate
from ._outcome_report import OutcomeGap as OutcomeGap
from ._outcome_report import OutcomeGroup as OutcomeGroup
from ._outcome_report import OutcomesReport as OutcomesReport
from ._outcomes import audit_outcomes as audit_outcomes
from ._power import GroupSizes as GroupSizes
from ._power import group_sizes as group_sizes
from ._power import power as power
from ._predictions import read_predictions as read_predictions
from ._report import COUNTED as COUNTED
from ._report import Estimate as Estimate
from ._report import FairnessReport as FairnessReport
from ._report import Gap as Gap
from ._report import Group as Group
from ._rows import AuditedRows as AuditedRows
from ._rows import audited_rows as audited_rows
from ._search import search as search
from ._search_report import SearchReport as SearchReport
from ._shift import SHIFTS as SHIFTS
from ._shift import Sample as Sample
from ._shift import Shift as Shift
from ._shift import name_shifts as name_shifts
from ._shift import shift_between as shift_between
from ._target_reports import FairnessReports as FairnessReports
from ._targets import audit_targets as audit_targets
from ._transfer import transfer as transfer
from ._transfer_report import ModelTransfer as ModelTransfer
from ._transfer_report import TransferReport as TransferReport
from ._transfer_rows import TransferTables as TransferTables
from ._twins import TWIN_COLUMNS as TWIN_COLUMNS
from ._twins import TWIN_MEASURES as TWIN_MEASURES
from ._twins import twin_effects as twin_effects
from ._twins_report import TwinReport as TwinReport
from ._wording import LABELS as LABELS
from ._wording import label_of as label_of
from ._wording import limitation_sentences as limitation_sentences
from ._wording import p_value_text as p_value_text
from ._wording import summary_sentences as summary_sentences

__all__ = [
    "CALIBRATION",
    "CHECKLIST_FORMS",
    "COUNTED",
    "FIXED",
    "LABELS",
    "RESAMPLED_METRICS",
    "SHIFTS",
    "TESTED_METRICS",
    "TWIN_COLUMNS",
    "TWIN_MEASURES",
    "WITHIN_LABEL",
    "AuditedRows",
    "Average",
    "Comparison",
    "Decided",
    "Decisions",
    "Estimate",
    "FairnessReport",
    "FairnessReports",
    "Gap",
    "Group",
    "GroupSizes",
    "Levelling",
    "Levellings",
    "ModelTransfer",
    "MonitorReport",
    "OutcomeEstimate",
    "OutcomeGap",
    "OutcomeGroup",
    "OutcomesReport",
    "Sample",
    "SearchReport",
    "Shift",
    "TransferReport",
    "TransferTables",
    "TwinReport",
    "audit",
    "audit_outcomes",
    "audit_targets",
    "audited_rows",
    "bin_residuals",
    "checklist",
    "checklist_sources",
    "checklist_text",
    "compare",
    "group_sizes",
    "label_of",
    "limitation_sentences",
    "macro",
    "monitor",
    "multiclass_table",
    "multilabel_table",
    "name_shifts",
    "outcome_columns",
    "p_value_text",
    "power",
    "read_predictions",
    "search",
    "shift_between",
    "summary_sentences",
    "transfer",
    "twin_effects",
    "unanimous_interval",
    "wanted_targets",
]
