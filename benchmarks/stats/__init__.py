"""The statistics of the leaderboard: ``from benchmarks import stats``; ``stats.wilson(8, 10)``.

Every number that is shown comes from here, each from a published formula named in its docstring.
"""

from benchmarks.stats.bootstrap import progress_interval, task_mean_interval
from benchmarks.stats.clustered import algorithm_interval
from benchmarks.stats.compare import Comparison, Outcomes, claim_of, compare
from benchmarks.stats.gaps import compositional_gap, paired_gap, retention
from benchmarks.stats.intervals import Interval, cell_interval, clopper_pearson, newcombe, wilson
from benchmarks.stats.paired import Gap, mcnemar
from benchmarks.stats.ranking import holm, letters, rank_sets
from benchmarks.stats.sequential import Decision, SignTest, Stopping
from benchmarks.stats.smoothness import contact_peak, path_ratio, sparc
from benchmarks.stats.table import FloorCheck, Ranking, against_floors, rank

__all__ = [
    "Comparison",
    "Decision",
    "FloorCheck",
    "Gap",
    "Interval",
    "Outcomes",
    "Ranking",
    "SignTest",
    "Stopping",
    "against_floors",
    "algorithm_interval",
    "cell_interval",
    "claim_of",
    "clopper_pearson",
    "compare",
    "compositional_gap",
    "contact_peak",
    "holm",
    "letters",
    "mcnemar",
    "newcombe",
    "paired_gap",
    "path_ratio",
    "progress_interval",
    "rank",
    "rank_sets",
    "retention",
    "sparc",
    "task_mean_interval",
    "wilson",
]
