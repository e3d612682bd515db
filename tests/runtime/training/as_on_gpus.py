"""Command lines, one after the other, in processes of accelerate's that take a CPU for a GPU.

accelerate spreads weights over GPUs alone. Its and torch's code for it runs on CPUs as well, but for two places of
FSDP1 that rely on a copy to the CPU being one.

Run under torchrun with each command line as a JSON list: `as_on_gpus.py '["--model=ELMER", …]' …`.
"""

import json
import sys
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from torch.distributed.fsdp import StateDictConfig

from textbox_elmer.cli import main

start = PartialState.__init__


def start_as_on_gpus(self: PartialState, *args: Any, **kwargs: Any) -> None:
    start(self, *args, **kwargs)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type, self.device = DistributedType.MULTI_GPU, torch.device("cpu")


if __name__ == "__main__":
    PartialState.__init__ = start_as_on_gpus
    StateDictConfig.offload_to_cpu = property(lambda self: False, lambda self, value: None)
    torch.Tensor.cpu = torch.Tensor.clone
    sys.exit(any(main(json.loads(line)) for line in sys.argv[1:]))
