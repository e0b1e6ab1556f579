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
LINK_BONUS = 0.75  # a value that goes on in a host register saves about as much of a dispatch


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
    for executions, _, _, _, handlers, links in profile["blocks"]:
        block = []
        for k, n in enumerate(handlers):
            block.append((names[n], useful_links(links[k], [names[m] for m in handlers[max(0, k - 3):k]], names[n])))
        blocks[tuple(block)] += executions
    return blocks


# Instructions that leave a 32-bit result in r1.
WRITES = re.compile(r"(mov_r[rim]|(add|sub|adc|sbb|and|or|xor)_r[rim]|(inc|dec|neg|not)_r|lea_|mov[zs]x_|imul_r|"
                    r"(shl|shr|sar|rol|ror|rcl|rcr)_\w+_r|pop_z|cmov|shld|shrd|bswap|bs[fr])(?!.*(8|16)(_|$))")
NO_R1 = re.compile(r"(\w+_mi|push_i|push_m|leave|nop|c[wd]|sh[lr]_i(_nf)?\d+_b)")


def useful_links(links, before, name):
    """Only links to registers that the instruction named has just written."""
    out = 0
    for field in range(3):
        distance = links >> 2 * field & 3
        if distance and distance <= len(before) and WRITES.match(before[-distance]) and \
           not (field == 0 and NO_R1.match(name)):
            out |= distance << 2 * field
    return out


def clip(token, before):
    """Links must not reach back beyond the sequence."""
    name, links = token
    for field in range(3):
        if (links >> 2 * field & 3) > before:
            links &= ~(3 << 2 * field)
    return (name, links)


def known_names(root):
    """Steps and ends that integer.c can inline: what the compiler says of it, by preprocessing."""
    text = subprocess.run(["gcc", "-E", "-P", "-I", root, root + "/cpu/integer.c"],
                          check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"\bs_(\w+)\(struct cpu", text)), set(re.findall(r"\bt_(\w+)\(struct cpu", text))


def pairs_of(tokens, ends, steps):
    for k in range(len(tokens) - 1):
        first, second = tokens[k], tokens[k + 1]
        if len(first) < LENGTH_MAX and len(second) == 1 and first[-1][0] in steps and \
           (second[0][0] in steps or second[0][0] in ends):
            yield k, sequence(first, second, ends)


def sequence(first, second, ends):
    if len(first) == 1:
        first = ((first[0][0], 0),)
    name, links = clip(second[0], len(first))
    return first + ((name, 0 if name in ends else links),)


def merge(tokens, target, ends):
    out = []
    k = 0
    while k < len(tokens):
        if k + 1 < len(tokens) and len(tokens[k + 1]) == 1 and sequence(tokens[k], tokens[k + 1], ends) == target:
            out.append(target)
            k += 2
        else:
            out.append(tokens[k])
            k += 1
    return out


def value_of(pair):
    links = pair[-1][1]
    return 1 + LINK_BONUS * sum(1 for field in (0, 2, 4) if links >> field & 3)


def train(guests, count, steps, ends):
    weights = collections.Counter()
    for blocks in guests:
        total = sum(n * len(b) for b, n in blocks.items())
        for block, n in blocks.items():
            weights[block] += n / total
    rows = [[[(token,) for token in block], weight] for block, weight in weights.most_common(60000)]
    where = collections.defaultdict(set)
    gain = collections.Counter()
    for number, (tokens, weight) in enumerate(rows):
        for _, pair in pairs_of(tokens, ends, steps):
            gain[pair] += weight * value_of(pair)
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
                gain[pair] -= weight * value_of(pair)
            tokens = merge(tokens, target, ends)
            rows[number][0] = tokens
            for _, pair in pairs_of(tokens, ends, steps):
                gain[pair] += weight * value_of(pair)
                where[pair].add(number)
        gain.pop(target, None)
    return chosen


def judge(blocks, rows):
    """Dispatches that are left when blocks are cut as fuse_block does it."""
    tree = collections.defaultdict(list)
    for row in rows:
        tree[row[:-1]].append(row[-1])
    insns = dispatches = linked = 0
    for block, n in blocks.items():
        best = [(0, 0)] * (len(block) + 1)
        for k in range(len(block) - 1, -1, -1):
            best[k] = (1 + best[k + 1][0], best[k + 1][1])
            whole = ((block[k][0], 0),)
            used = 0
            for follower in range(k + 1, len(block)):
                name, links = clip(block[follower], follower - k)
                fitting = [(bin(row | row >> 1).count("1"), row) for row_name, row in tree.get(whole, ()) if row_name == name and
                           all(row >> f & 3 in (0, links >> f & 3) for f in (0, 2, 4))]
                if not fitting:
                    break
                row = max(fitting)[1]
                used += sum(1 for f in (0, 2, 4) if row >> f & 3)
                whole += ((name, row),)
                if best[follower + 1][0] + 1 <= best[k][0]:
                    best[k] = (best[follower + 1][0] + 1, best[follower + 1][1] + used)
        insns += n * len(block)
        dispatches += n * best[0][0]
        linked += n * best[0][1]
    return insns, dispatches, linked


def main():
    arguments = sys.argv[1:]
    root = sys.path[0] + "/../.."
    if arguments[0] == "--judge":
        rows = set()
        for text in re.findall(r"^[SE]\d\((.*)\)$", open(arguments[1]).read(), re.M):
            words = text.split(", ")
            rows.add(((words[0], 0),) + tuple((words[k + 1], int(words[k])) for k in range(1, len(words), 2)))
        for path in arguments[3:]:
            insns, dispatches, linked = judge(load(arguments[2], path), rows)
            print(f"{path}: {insns} instructions, {dispatches / insns:.3f} dispatches and {linked / insns:.3f} links each")
        return
    steps, ends = known_names(root)
    guests = [load(arguments[0], path) for path in arguments[2:]]
    chosen = train(guests, int(arguments[1]), steps, ends)
    print("/* sequences.def - instruction sequences with a handler of their own, made by tests/bench/train_sequences.py.")
    print(" *")
    print(" * A number says which registers the instruction behind it shares with those before it (fuse.h, links).")
    print(" * S: goes on behind the last one; E: the last one ends the block. A sequence's beginning without its last")
    print(" * instruction is a row too. Most executed first, as shares of all instructions of the training guests. */")
    for target, value in chosen:
        kind = "E" if target[-1][0] in ends else "S"
        print(f"{kind}{len(target)}({target[0][0]}, {', '.join(f'{links}, {name}' for name, links in target[1:])})")


main()
