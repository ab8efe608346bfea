"""Evidence: what frozen features are worth, by method, with intervals, figures and a report."""

from weakcl_pipeline.evaluation.accuracies import Outcome, measure_accuracies
from weakcl_pipeline.evaluation.bootstrap import BootstrapConfig
from weakcl_pipeline.evaluation.claims import check_claims
from weakcl_pipeline.evaluation.comparison import compare
from weakcl_pipeline.evaluation.evaluate import EvaluationConfig, EvaluationJob, evaluate_features
from weakcl_pipeline.evaluation.few_label import FewLabelConfig
from weakcl_pipeline.evaluation.figures import comparison_figure, histories_figure, history_figure
from weakcl_pipeline.evaluation.knn import KnnConfig
from weakcl_pipeline.evaluation.linear_probe import LinearProbeConfig
from weakcl_pipeline.evaluation.methods import METHOD, METHODS, Method
from weakcl_pipeline.evaluation.references import evaluate_majority, raw_pixel_features
from weakcl_pipeline.evaluation.report import ReportConfig, ReportContent, build_report
from weakcl_pipeline.evaluation.study import Setting, run_setting
from weakcl_pipeline.evaluation.study_figure import study_figure
from weakcl_pipeline.evaluation.task import NO_LABELS

__all__ = [
    "METHOD",
    "METHODS",
    "NO_LABELS",
    "BootstrapConfig",
    "EvaluationConfig",
    "EvaluationJob",
    "FewLabelConfig",
    "KnnConfig",
    "LinearProbeConfig",
    "Method",
    "Outcome",
    "ReportConfig",
    "ReportContent",
    "Setting",
    "build_report",
    "check_claims",
    "compare",
    "comparison_figure",
    "evaluate_features",
    "evaluate_majority",
    "histories_figure",
    "history_figure",
    "measure_accuracies",
    "raw_pixel_features",
    "run_setting",
    "study_figure",
]
