"""The statistics of the leaderboard: ``from benchmarks import stats``; ``stats.wilson(8, 10)``.

Every number that is shown comes from here, each from a published formula named in its docstring.
"""

from benchmarks.stats.bootstrap import progress_interval, task_mean_interval
from benchmarks.stats.clustered import algorithm_interval
from benchmarks.stats.compare import Comparison, Outcomes, claim_of, compare
from benchmarks.stats.gaps import compositional_gap, paired_gap, retention
from benchmarks.stats.intervals import Interval, cell_interval, clopper_pearson, newcombe, wilson
from benchmarks.stats.paired import Gap, mcnemar
from benchmarks.stats.powered import Powered, powered_rate
from benchmarks.stats.ranking import holm, letters, rank_sets
from benchmarks.stats.raters import Kappa, cohen_kappa
from benchmarks.stats.sequential import Decision, SignTest, Stopping
from benchmarks.stats.smoothness import contact_peak, path_ratio, sparc
from benchmarks.stats.table import FloorCheck, Ranking, against_floors, rank
from benchmarks.stats.worlds import SimToReal, pearson, rank_violation, sim_to_real

__all__ = [
    "Comparison",
    "Decision",
    "FloorCheck",
    "Gap",
    "Interval",
    "Kappa",
    "Outcomes",
    "Powered",
    "Ranking",
    "SignTest",
    "SimToReal",
    "Stopping",
    "against_floors",
    "algorithm_interval",
    "cell_interval",
    "claim_of",
    "clopper_pearson",
    "cohen_kappa",
    "compare",
    "compositional_gap",
    "contact_peak",
    "holm",
    "letters",
    "mcnemar",
    "newcombe",
    "paired_gap",
    "path_ratio",
    "pearson",
    "powered_rate",
    "progress_interval",
    "rank",
    "rank_sets",
    "rank_violation",
    "retention",
    "sim_to_real",
    "sparc",
    "task_mean_interval",
    "wilson",
]
