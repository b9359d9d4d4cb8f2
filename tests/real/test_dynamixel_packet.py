"""Packets of protocol 2.0: our framing, the SDK's, and what noise may do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real.dynamixel_packet import (
    Block,
    Instruction,
    Packet,
    Scanner,
    crc16,
    fast_blocks,
    fast_size,
    fast_status,
    frame,
    hardware_errors,
    status,
    stuff,
    unstuff,
)

# Bytes in which the header's pattern is frequent.
tricky = st.lists(st.sampled_from([0xFF, 0xFD, 0x00, 0x55, 0x12]), max_size=60).map(bytes)
payload = st.one_of(st.binary(max_size=60), tricky)
ids = st.integers(0, 252)
several = st.lists(
    st.builds(Block, ids, st.sampled_from([0, 0x80]), st.binary(min_size=4, max_size=4)),
    min_size=1,
    max_size=9,
    unique_by=lambda block: block.motor,
)


def test_a_packet_of_the_manual_comes_out_byte_for_byte() -> None:
    # Ping of id 1, and Goal Position 512 for id 1 (e-Manual, protocol 2.0, examples).
    assert frame(1, Instruction.PING).hex() == "fffffd0001030001194e"
    goal = bytes([0x74, 0x00, 0x00, 0x02, 0x00, 0x00])
    assert frame(1, Instruction.WRITE, goal).hex() == "fffffd000109000374000002" + "0000ca89"


@given(payload)
def test_stuffing_is_undone_and_hides_the_header(body: bytes) -> None:
    assert unstuff(stuff(body)) == body
    assert b"\xff\xff\xfd\x00" not in stuff(body)


@given(ids, payload)
def test_the_sdk_frames_and_checks_as_we_do(motor: int, data: bytes) -> None:
    sdk = pytest.importorskip("dynamixel_sdk", reason="dynamixel-sdk is not installed")
    handler = sdk.PacketHandler(2.0)
    raw = frame(motor, Instruction.WRITE, data)
    assert handler.updateCRC(0, raw, len(raw) - 2) == crc16(raw[:-2])
    length = len(data) + 3
    plain = [0xFF, 0xFF, 0xFD, 0x00, motor, length & 0xFF, length >> 8, Instruction.WRITE]
    theirs = handler.addStuffing([*plain, *data, 0, 0])
    size = theirs[5] + (theirs[6] << 8) + 7
    assert bytes(theirs[: size - 2]) == raw[:-2]


@given(st.lists(st.tuples(ids, payload), max_size=5), st.integers(1, 20))
def test_packets_are_cut_from_a_stream_however_it_arrives(
    packets: list[tuple[int, bytes]], chunk: int
) -> None:
    stream = b"".join(status(motor, 0, data) for motor, data in packets)
    scanner, found = Scanner(), list[Packet]()
    for at in range(0, len(stream), chunk):
        found += scanner.feed(stream[at : at + chunk])
    assert [(p.motor, p.data, p.intact) for p in found] == [(m, d, True) for m, d in packets]


@given(payload, st.data())
def test_a_packet_with_a_wrong_byte_is_never_taken_for_a_good_one(
    data: bytes, draw: st.DataObject
) -> None:
    raw = bytearray(status(3, 0, data))
    at = draw.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= draw.draw(st.integers(1, 255))
    assert not [packet for packet in Scanner().feed(bytes(raw)) if packet.intact]


@given(payload, st.data())
def test_a_packet_that_was_cut_does_not_swallow_the_next(data: bytes, draw: st.DataObject) -> None:
    cut = draw.draw(st.integers(0, len(status(3, 0, data)) - 1))
    stream = status(3, 0, data)[:cut] + status(4, 0, b"next") * 2
    good = [packet for packet in Scanner().feed(stream) if packet.intact]
    assert (good[-1].motor, good[-1].data) == (4, b"next")


@settings(max_examples=300)
@given(several, st.data())
def test_of_a_broken_fast_answer_only_blocks_before_the_break_are_used(
    blocks: list[Block], draw: st.DataObject
) -> None:
    whole = fast_status(blocks)
    wanted = [(block.motor, 4) for block in blocks]
    assert len(whole) == fast_size([4] * len(blocks))
    assert fast_blocks(whole, wanted) == blocks
    broken = bytearray(whole)
    at = draw.draw(st.integers(0, len(whole) - 1))
    broken[at] ^= draw.draw(st.integers(1, 255))
    intact = max(0, (at - 8) // 8)
    assert fast_blocks(bytes(broken), wanted) == blocks[:intact]
    assert fast_blocks(whole[:at], wanted) == blocks[:intact]


@given(several)
def test_a_fast_answer_to_another_question_is_not_taken(blocks: list[Block]) -> None:
    assert fast_blocks(fast_status(blocks), [(block.motor, 5) for block in blocks]) == []


def test_hardware_errors_have_names() -> None:
    assert hardware_errors(0x24) == ("overheating", "overload")
    assert hardware_errors(0x41) == ("input voltage", "unknown bits 0x40")
    assert hardware_errors(0) == ()
