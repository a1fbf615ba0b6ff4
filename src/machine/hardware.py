"""What this machine has for networks to run on, as far as that can be told without PyTorch, which takes seconds."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from auscult.mistake import Mistake

# what the drivers of NVIDIA (also in Windows' Linux, and on Jetson), of AMD and of TPUs leave in Linux
GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap", "/dev/nvhost-gpu", "/dev/kfd", "/dev/accel0", "/dev/vfio/0")
OF_GPUS = ("gpu", "cuda")
STRATEGIES = ("ddp", "fsdp", "deepspeed", "single_", "xla", "hpu")  # how names of Lightning's begin
ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps", "tpu")  # Lightning's


def has_no_gpu() -> bool:
    """Whether this machine surely has no GPU for PyTorch; False if only PyTorch can tell."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return True
    return sys.platform == "linux" and not any(Path(path).exists() for path in GPU_FILES)


def are_devices(value: Any) -> bool:
    """Whether a value names devices as Lightning does: auto, how many, -1 for all, or a list of their numbers."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, int) and not isinstance(each, bool) for each in value)
    if isinstance(value, int):
        return not isinstance(value, bool) and (value == -1 or value > 0)
    return isinstance(value, str) and re.fullmatch(r"auto|-1|[1-9]\d*|\d+(, *\d+)+,?|\d+,", value) is not None


def check_devices(options: dict[str, Any]) -> None:
    """Checks that a run can have the devices that it asks for.

    Args:
        options: of Lightning's Trainer.

    Raises:
        Mistake: Lightning knows no such accelerator, strategy or devices; the run asks for GPUs and there are none; or
            it asks for several devices that would be processes on the cores of the machine, and slower than one.
    """
    accelerator, devices = options.get("accelerator", "auto"), options.get("devices", "auto")
    if accelerator not in ACCELERATORS:
        raise Mistake(f"trainer.accelerator={accelerator} is not one of {', '.join(ACCELERATORS)}.")
    if not are_devices(devices):
        raise Mistake(
            f"trainer.devices={devices} is no choice of devices; say auto, how many (1 or more), or a list such as"
            " [0,3]; for no GPU say trainer.accelerator=cpu."
        )
    if accelerator in OF_GPUS and has_no_gpu():
        raise Mistake(
            f"trainer.accelerator={accelerator}: this machine has no GPU that PyTorch finds; leave it out, or say"
            " trainer.accelerator=cpu."
        )
    if accelerator == "mps" and sys.platform != "darwin":
        raise Mistake("trainer.accelerator=mps is for Macs only; leave it out.")
    strategy = options.get("strategy", "auto")
    if not isinstance(strategy, str) or not (strategy == "auto" or strategy.startswith(STRATEGIES)):
        raise Mistake(f"trainer.strategy={strategy} is unknown; choose auto, ddp or another of Lightning's.")
    several = isinstance(devices, list) or (isinstance(devices, int) and devices != 1) or devices == "-1"
    if accelerator == "auto" and several and has_no_gpu():
        raise Mistake(
            f"trainer.devices={devices}: this machine has no GPU that PyTorch finds; leave it out."
            " trainer.accelerator=cpu makes so many processes of its cores, which share them and are slower than one."
        )
