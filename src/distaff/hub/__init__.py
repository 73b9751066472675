"""Share models: folders, Hugging Face and S3, as scvi-tools' hub knows them."""

from distaff.hub.load import load
from distaff.hub.model_card import model_card
from distaff.hub.push import push
from distaff.hub.save import save

__all__ = ["load", "model_card", "push", "save"]
