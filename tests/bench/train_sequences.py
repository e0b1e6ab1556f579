#!/usr/bin/env python3
"""train_sequences.py - chooses the sequences of instructions that get a handler of their own (cpu/sequences.def).

    train_sequences.py BUILD/tick86 N PROFILE.json... > cpu/sequences.def
    train_sequences.py --judge cpu/sequences.def BUILD/tick86 PROFILE.json...

Profiles come from `tick86 --profile=FILE` of the same binary, one for each guest; each guest weighs the same. The choice
is greedy: the most executed pair of (sequence so far, next instruction) becomes a sequence, until there are N. With
--judge: how many dispatches per instruction the set leaves on profiles, best on guests that it was not trained on.
"""
import collections
import json
import re
import subprocess
import sys

LENGTH_MAX = 5


def load(binary, path):
    """The blocks of a profile as {tuple of handler names: executions}."""
    symbols = {}
    base = None
    for line in subprocess.run(["nm", binary], check=True, capture_output=True, text=True).stdout.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in "tT":
            symbols[int(fields[0], 16)] = fields[2]
            if fields[2] == "tick86_create":
                base = int(fields[0], 16)
    profile = json.load(open(path))
    names = []
    for handler in profile["handlers"]:
        symbol = symbols.get((base + handler["offset"]) & (2**64 - 1), "")
        names.append(symbol[2:] if symbol.startswith("h_") else "")
    blocks = collections.Counter()
    for executions, _, _, _, handlers in profile["blocks"]:
        blocks[tuple(names[n] for n in handlers)] += executions
    return blocks


def known_names(root):
    """Steps and ends that integer.c can inline: what the compiler says of it, by preprocessing."""
    text = subprocess.run(["gcc", "-E", "-P", "-I", root, root + "/cpu/integer.c"],
                          check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"\bs_(\w+)\(struct cpu", text)), set(re.findall(r"\bt_(\w+)\(struct cpu", text))


def pairs_of(tokens, ends, steps):
    for k in range(len(tokens) - 1):
        first, second = tokens[k], tokens[k + 1]
        if len(first) < LENGTH_MAX and len(second) == 1 and first[-1] in steps and \
           (second[0] in steps or second[0] in ends):
            yield k, first + second


def merge(tokens, target):
    out = []
    k = 0
    while k < len(tokens):
        if k + 1 < len(tokens) and len(tokens[k + 1]) == 1 and tokens[k] + tokens[k + 1] == target:
            out.append(target)
            k += 2
        else:
            out.append(tokens[k])
            k += 1
    return out


def train(guests, count, steps, ends):
    weights = collections.Counter()
    for blocks in guests:
        total = sum(n * len(b) for b, n in blocks.items())
        for block, n in blocks.items():
            weights[block] += n / total
    rows = [[[(name,) for name in block], weight] for block, weight in weights.most_common(60000)]
    where = collections.defaultdict(set)
    gain = collections.Counter()
    for number, (tokens, weight) in enumerate(rows):
        for _, pair in pairs_of(tokens, ends, steps):
            gain[pair] += weight
            where[pair].add(number)
    chosen = []
    while len(chosen) < count and gain:
        target, value = max(gain.items(), key=lambda item: (item[1], item[0]))
        if value <= 0:
            break
        chosen.append((target, value))
        for number in sorted(where.pop(target)):
            tokens, weight = rows[number]
            for _, pair in pairs_of(tokens, ends, steps):
                gain[pair] -= weight
            tokens = merge(tokens, target)
            rows[number][0] = tokens
            for _, pair in pairs_of(tokens, ends, steps):
                gain[pair] += weight
                where[pair].add(number)
        gain.pop(target, None)
    return chosen


def judge(blocks, sequences):
    insns = dispatches = 0
    for block, n in blocks.items():
        best = [0] * (len(block) + 1)
        for k in range(len(block) - 1, -1, -1):
            best[k] = 1 + best[k + 1]
            length = 2
            while k + length <= len(block) and block[k:k + length] in sequences:
                best[k] = min(best[k], 1 + best[k + length])
                length += 1
        insns += n * len(block)
        dispatches += n * best[0]
    return insns, dispatches


def main():
    arguments = sys.argv[1:]
    root = sys.path[0] + "/../.."
    if arguments[0] == "--judge":
        sequences = {tuple(row.split(", ")) for row in re.findall(r"^[SE]\d\((.*)\)$", open(arguments[1]).read(), re.M)}
        for path in arguments[3:]:
            insns, dispatches = judge(load(arguments[2], path), sequences)
            print(f"{path}: {insns} instructions, {dispatches / insns:.3f} dispatches each")
        return
    steps, ends = known_names(root)
    guests = [load(arguments[0], path) for path in arguments[2:]]
    chosen = train(guests, int(arguments[1]), steps, ends)
    print("/* sequences.def - instruction sequences with a handler of their own, made by tests/bench/train_sequences.py.")
    print(" *")
    print(" * S: goes on behind the last one; E: the last one ends the block. A sequence's beginning without its last")
    print(" * instruction is a row too. Most executed first, as shares of all instructions of the training guests. */")
    for target, value in chosen:
        kind = "E" if target[-1] in ends else "S"
        print(f"{kind}{len(target)}({', '.join(target)})")


main()
