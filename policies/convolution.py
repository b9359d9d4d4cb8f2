"""Convolution over time, and Mish, whose gradients cost less in bfloat16 on a CPU.

A chunk has few time steps and many channels. There oneDNN's gradient of a convolution's weights
takes four times what its forward pass takes, the same product over unfolded windows one and a half
times (512 channels, 5 taps, 4 steps, 64 chunks, one thread: 5.8 and 2.3 ms). In float32 oneDNN is
the faster; there, and wherever nothing is learned, both are torch's own.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv1d_input


def _learns(x: Tensor, kind: torch.dtype) -> bool:
    """Tell whether what is made of ``x`` as ``kind`` is differentiated, in bfloat16, on a CPU."""
    return torch.is_grad_enabled() and kind is torch.bfloat16 and x.device.type == "cpu"


class Conv1d(nn.Conv1d):
    """``nn.Conv1d`` with one number each for stride and padding, no groups and no dilation."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C', T')."""
        device = x.device.type
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        if not _learns(x, kind):
            return super().forward(x)
        bias = self.bias
        out: Tensor = _Convolution.apply(  # type: ignore[no-untyped-call]
            x.to(kind),
            self.weight.to(kind),
            bias if bias is None else bias.to(kind),
            self.stride[0],
            self.padding[0],
        )
        return out


class _Convolution(torch.autograd.Function):
    """``functional.conv1d``, its weights' gradient by ``weight_gradient``."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  (as torch has it)
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        padding: int,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv1d(x, weight, bias, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = None, None, None
        if ctx.needs_input_grad[0]:
            of_x = conv1d_input(  # type: ignore[no-untyped-call]
                x.shape, weight, grad, ctx.stride, ctx.padding
            )
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(x, grad, weight.shape[2], ctx.stride, ctx.padding)
        if ctx.needs_input_grad[2]:
            of_bias = grad.sum((0, 2))
        return of_x, of_weight, of_bias, None, None


def weight_gradient(x: Tensor, grad: Tensor, taps: int, stride: int, padding: int) -> Tensor:
    """Return the gradient (C', C, taps) of a convolution's weights.

    Args:
        x: what was convolved (B, C, T).
        grad: gradient of the output (B, C', T').
        taps: of the convolution.
        stride: of the convolution.
        padding: of the convolution, at either end.
    """
    (batch, channels, _), (outputs, steps) = x.shape, grad.shape[1:]
    lines = functional.pad(x, (padding, padding)).transpose(1, 2).contiguous()
    strides = lines.stride(0), stride * channels, channels, 1
    windows = lines.as_strided((batch, steps, taps, channels), strides)
    product = grad.transpose(0, 1).reshape(outputs, -1) @ windows.reshape(batch * steps, -1)
    # In order before the cast to float32, which is slow out of order.
    return product.view(outputs, taps, channels).transpose(1, 2).contiguous()


def mish(x: Tensor) -> Tensor:
    """Return x tanh(softplus(x)) (Misra 2019), of any shape."""
    if not _learns(x, x.dtype):
        return functional.mish(x)
    out: Tensor = _Mish.apply(x)  # type: ignore[no-untyped-call]
    return out


class _Mish(torch.autograd.Function):
    """With s = sigmoid(x), n = s (2 - s): tanh(softplus(x)) = n / (2 - n). Half of torch's time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        wide = x.float()
        sigmoid = torch.sigmoid(wide)
        gate = (2 - sigmoid).mul_(sigmoid)
        gate = gate.div_(2 - gate)
        ctx.save_for_backward(wide, sigmoid, gate)
        return (wide * gate).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # noqa: ANN401
        x, sigmoid, gate = ctx.saved_tensors
        slope = (1 - gate.square()).mul_(x).mul_(sigmoid).add_(gate)
        found: Tensor = slope.mul_(grad).to(grad.dtype)
        return found
