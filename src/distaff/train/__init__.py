"""Training: the plan, its runner, data splits, learning-rate phases, isolated random numbers."""

from distaff.train.arguments import check_monitors, check_trainer_arguments
from distaff.train.cells import CellLoader, cell_positions, on_device
from distaff.train.data import CellData, dense_data
from distaff.train.devices import chosen_device
from distaff.train.divergence import DivergenceError, Place
from distaff.train.epochs import MOST_EPOCHS, number_of_epochs
from distaff.train.foreign import CheckedLoader, ForeignData, number_of_cells
from distaff.train.keeper import RunKeeper
from distaff.train.phases import LearningRatePhases
from distaff.train.plan import FactorTrainingPlan
from distaff.train.processes import check_processes, data_parallel, number_of_processes
from distaff.train.random import draw_seed, isolated_rng, seeded
from distaff.train.runner import FactorTrainRunner, curves_of
from distaff.train.sources import RowSource, cell_totals, held_rows, row_source
from distaff.train.split import Split, split_cells
from distaff.train.svi import SVIPlan

__all__ = [
    "MOST_EPOCHS",
    "CellData",
    "CellLoader",
    "CheckedLoader",
    "DivergenceError",
    "FactorTrainRunner",
    "FactorTrainingPlan",
    "ForeignData",
    "LearningRatePhases",
    "Place",
    "RowSource",
    "RunKeeper",
    "SVIPlan",
    "Split",
    "cell_positions",
    "cell_totals",
    "check_monitors",
    "check_processes",
    "check_trainer_arguments",
    "chosen_device",
    "curves_of",
    "data_parallel",
    "dense_data",
    "draw_seed",
    "held_rows",
    "isolated_rng",
    "number_of_cells",
    "number_of_epochs",
    "number_of_processes",
    "on_device",
    "row_source",
    "seeded",
    "split_cells",
]
