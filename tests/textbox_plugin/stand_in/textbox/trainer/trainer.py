import json
import logging
import os
import signal
import sys
from pathlib import Path
from pickle import UnpicklingError
from types import SimpleNamespace


class Trainer:
    def __init__(self, config, model, accelerator):
        self.config, self.model, self.accelerator = config, model, accelerator
        self.epochs, self.accumulation_steps = config["epochs"] or 1, config["accumulation_steps"] or 1
        self.timestamp = SimpleNamespace(train_step=1)
        self.valid_result_dict = {}
        self.saved_dir = config["saved_dir"] or "saved/"
        self.logger = logging.getLogger(__name__)

    def _train_epoch(self, train_data, epoch_idx, valid_data=None):
        return {"loss": 0.0} if epoch_idx else {}

    @property
    def best_valid_result(self):
        return self.valid_result_dict[0]

    def evaluate(self, eval_data, load_best_model=True, is_valid=False):
        return self.model(eval_data)

    def resume_checkpoint(self, resume_dir):
        self.resumed = resume_dir

    def fit(self, train_data, valid_data=None):
        if self.config["signalled"]:
            signal.raise_signal(signal.SIGTERM)
        if train_data:
            return self.model.train()(train_data)
        if self.config["fails"]:
            raise {"torch": UnpicklingError("Re-run torch.load with weights_only=False")}.get(
                self.config["fails"], ValueError("as asked for")
            )
        record = {"folder": os.getcwd(), "arguments": sys.argv, "values": self.config.final_config_dict}
        Path(self.config["record"]).write_text(json.dumps(record))
        return None
