"""The convolution and Mish of the U-Net: torch's values, and its gradients in bfloat16."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from policies.convolution import Conv1d, mish

ROUNDING = 2.0**-8
"""Relative error of a number in bfloat16."""


def gradients(conv: nn.Conv1d, x: Tensor, into: Tensor, bf16: bool) -> list[Tensor]:
    """Return the gradients of the input, the weights and the bias."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y = conv(x)
    y.backward(into.to(y.dtype))
    found = [x.grad, *(p.grad for p in conv.parameters())]
    return [gradient.double() for gradient in found if gradient is not None]


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 12)),
    outputs=st.integers(1, 40),
    half=st.integers(0, 2),
    stride=st.integers(1, 3),
    bias=st.booleans(),
)
def test_gradients_are_those_of_the_convolution(
    shape: tuple[int, int, int], outputs: int, half: int, stride: int, bias: bool
):
    torch.manual_seed(0)
    conv = Conv1d(shape[1], outputs, 2 * half + 1, stride, half, bias=bias)
    exact = nn.Conv1d(shape[1], outputs, 2 * half + 1, stride, half, bias=bias).double()
    x = torch.randn(shape).bfloat16().float()
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(parameter.bfloat16())
    exact.load_state_dict({k: v.double() for k, v in conv.state_dict().items()})
    into = torch.randn(conv(x).shape).bfloat16().float()
    ours = gradients(conv, x, into, bf16=True)
    theirs = gradients(exact, x.double(), into.double(), bf16=False)
    assert len(ours) == len(theirs) == 2 + bias
    for mine, right in zip(ours, theirs, strict=True):
        assert (mine - right).abs().max() <= 2 * ROUNDING * right.abs().max() + 1e-6


@pytest.mark.parametrize("bf16", [False, True])
def test_what_it_returns_is_torchs_bit_for_bit(bf16: bool):
    torch.manual_seed(0)
    conv = Conv1d(24, 32, 5, padding=2)
    known = nn.Conv1d(24, 32, 5, padding=2)
    known.load_state_dict(conv.state_dict())
    x = torch.randn(8, 24, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        assert torch.equal(conv(x), known(x))
        with torch.no_grad():
            assert torch.equal(conv(x), known(x))


def test_frozen_weights_get_no_gradient_and_their_input_does():
    torch.manual_seed(0)
    conv = Conv1d(8, 8, 3, padding=1).requires_grad_(False)
    x = torch.randn(2, 8, 4, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        conv(x).sum().backward()
    assert x.grad is not None
    assert [parameter.grad for parameter in conv.parameters()] == [None, None]


def test_a_copy_in_bfloat16_learns_too():
    conv = copy.deepcopy(Conv1d(8, 8, 3, padding=1)).to(torch.bfloat16)
    conv(torch.randn(2, 8, 4, dtype=torch.bfloat16)).sum().backward()
    assert conv.weight.grad is not None
    assert conv.weight.grad.dtype is torch.bfloat16


def test_mish_and_its_slope_at_every_number_of_bfloat16():
    bits = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.bfloat16)
    x = bits[bits.isfinite()].clone().requires_grad_()
    y = mish(x)
    y.backward(torch.ones_like(y))
    exact = x.detach().double().requires_grad_()
    right = functional.mish(exact)
    right.sum().backward()
    assert x.grad is not None
    assert exact.grad is not None
    for mine, other in ((y, right), (x.grad, exact.grad)):
        off = (mine.double() - other).abs()
        assert bool((off <= ROUNDING * other.abs() + 1e-12).all()), off.max()
