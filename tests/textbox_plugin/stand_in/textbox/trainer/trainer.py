import json
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace


class Trainer:
    def __init__(self, config, model, accelerator):
        self.config, self.model, self.accelerator = config, model, accelerator
        self.epochs, self.accumulation_steps = config["epochs"] or 1, config["accumulation_steps"] or 1
        self.timestamp = SimpleNamespace(train_step=1)
        self.logger = logging.getLogger(__name__)

    def _train_epoch(self, train_data, epoch_idx, valid_data=None):
        return {"loss": 0.0}

    def resume_checkpoint(self, resume_dir):
        self.resumed = resume_dir

    def fit(self, train_data):
        if self.config["fails"]:
            raise ValueError("as asked for")
        record = {"folder": os.getcwd(), "arguments": sys.argv, "values": self.config.final_config_dict}
        Path(self.config["record"]).write_text(json.dumps(record))
