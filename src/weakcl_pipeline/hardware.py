"""What the hardware has, and what it is good at."""

import joblib
import torch


def cores() -> int:
    """Return how many cores this process may use; affinity and a container's quota may leave fewer than there are."""
    return int(joblib.cpu_count())


def computes_bf16(device: torch.device) -> bool:
    """Say whether the hardware multiplies in bfloat16, rather than emulating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
