"""Measures what a call costs: time and memory."""

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

Result = TypeVar("Result")


def timed(ask: Callable[[], Result]) -> tuple[Result, float]:
    """The result of a call, and the seconds that it took. Waits for the GPU."""
    wait = torch.cuda.synchronize if torch.cuda.is_initialized() else lambda: None
    wait()
    started = time.perf_counter()
    result = ask()
    wait()
    return result, time.perf_counter() - started


def peak_megabytes(ask: Callable[[], object], device: torch.device) -> float:
    """The most memory that tensors take during a call, beyond what they took before, in units of 10^6 bytes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        ask()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler complains of absent GPUs
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiled:
        ask()
    result: Any = profiled.profiler
    events = sorted(
        (event for event in result.kineto_results.events() if event.name() == "[memory]"),
        key=lambda event: event.start_ns(),
    )
    taken = highest = 0
    for event in events:
        taken += event.nbytes()  # below zero where memory is freed
        highest = max(highest, taken)
    return highest / 1e6
