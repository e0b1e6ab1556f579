"""handmade.py - disk images written and read from the formats' descriptions alone, for what qemu-img cannot do.

  handmade.py make CASE FOLDER SEED     writes the images of CASE and FOLDER/model, what a guest must see
  handmade.py read FORMAT FILE OUT      what a guest sees of FILE and its parents, as raw bytes

Microsoft, "Virtual Hard Disk Image Format Specification" 1.0 (2006); [MS-VHDX] revision 7; the layout of VDI 1.1 in
VirtualBox' headers. Nothing here shares code with tick86: it is the other opinion."""
import os
import random
import struct
import sys
import uuid

MIB = 1 << 20


def noise(rng, size):
    return rng.randbytes(size)


# ---- VHD ----

def vhd_sum(data, at):
    return ~(sum(data[:at]) + sum(data[at + 4:])) & 0xffffffff


def vhd_footer(size, kind, ident):
    footer = bytearray(512)
    struct.pack_into(">8sIIQI4sI4sQQ", footer, 0, b"conectix", 2, 0x10000, 512 if kind != 2 else 2**64 - 1, 0x2b000000,
                     b"win ", 0x60001, b"Wi2k", size, size)
    struct.pack_into(">HBBI", footer, 56, min(size // 512 // (16 * 63), 65535), 16, 63, kind)
    footer[68:84] = ident.bytes
    struct.pack_into(">I", footer, 64, vhd_sum(footer, 64))
    return bytes(footer)


def vhd_make(path, size, blocks, ident, parent=None, block_size=2 * MIB):
    """blocks: number -> (set of sectors, or None for all; data). parent: (uuid, name)."""
    count = -(-size // block_size)
    table_at = 512 + 1024
    table_bytes = -(-count * 4 // 512) * 512
    locator_at = table_at + table_bytes
    header = bytearray(1024)
    struct.pack_into(">8sQQIII", header, 0, b"cxsparse", 2**64 - 1, table_at, 0x10000, count, block_size)
    locators = b""
    if parent:
        header[40:56] = parent[0].bytes
        struct.pack_into(">I", header, 56, 0x2b000000)
        name = parent[1].encode("utf-16-be")
        header[64:64 + len(name)] = name
        for n, (code, text) in enumerate(((b"W2ku", "C:\\images\\" + parent[1]), (b"W2ru", ".\\" + parent[1]))):
            data = text.encode("utf-16-le")
            struct.pack_into(">4sIIIQ", header, 576 + n * 24, code, 512, len(data), 0, locator_at + n * 512)
            locators += data.ljust(512, b"\0")
    struct.pack_into(">I", header, 36, vhd_sum(header, 36))
    footer = vhd_footer(size, 4 if parent else 3, ident)
    table = [0xffffffff] * count
    bitmap_size = -(-(block_size // 512 // 8) // 512) * 512
    body, at = b"", locator_at + len(locators)
    for number in sorted(blocks, reverse=True):  # not in the order of the disk
        sectors, data = blocks[number]
        bitmap = bytearray(bitmap_size)
        for sector in range(block_size // 512) if sectors is None else sectors:
            bitmap[sector // 8] |= 0x80 >> sector % 8
        table[number] = (at + len(body)) // 512
        body += bytes(bitmap) + data.ljust(block_size, b"\0")
    with open(path, "wb") as out:
        out.write(footer + header + struct.pack(">%dI" % count, *table).ljust(table_bytes, b"\xff") + locators + body + footer)


def vhd_read(path):
    data = open(path, "rb").read()
    footer = data[-512:] if data[-512:-504] == b"conectix" else data[:512]
    assert footer[:8] == b"conectix" and struct.unpack_from(">I", footer, 64)[0] == vhd_sum(footer, 64), "footer"
    size, kind = struct.unpack_from(">Q", footer, 48)[0], struct.unpack_from(">I", footer, 60)[0]
    if kind == 2:
        return data[:size]
    header = data[512:1536]
    assert struct.unpack_from(">I", header, 36)[0] == vhd_sum(header, 36), "header"
    table_at, _, count, block_size = struct.unpack_from(">QIII", header, 16)
    out = bytearray(size)
    if kind == 4:
        for n in range(8):
            code, _, length, _, at = struct.unpack_from(">4sIIIQ", header, 576 + n * 24)
            if code == b"W2ru":
                name = data[at:at + length].decode("utf-16-le").replace("\\", "/")
        parent = vhd_read(os.path.join(os.path.dirname(path), name))
        out[:len(parent)] = parent[:size]
    bitmap_size = -(-(block_size // 512 // 8) // 512) * 512
    used = set()
    for n in range(count):
        entry = struct.unpack_from(">I", data, table_at + n * 4)[0]
        if entry == 0xffffffff:
            continue
        assert entry not in used, "two blocks at one place"
        used.add(entry)
        bitmap = data[entry * 512:entry * 512 + bitmap_size]
        block = data[entry * 512 + bitmap_size:entry * 512 + bitmap_size + block_size].ljust(block_size, b"\0")
        for sector in range(block_size // 512):
            at = n * block_size + sector * 512
            if at < size and (bitmap[sector // 8] & 0x80 >> sector % 8 or kind == 3):
                out[at:at + 512] = block[sector * 512:sector * 512 + 512]
    return bytes(out)


def case_vhd(folder, rng):
    """A chain of three; the names go with W2ru, in a block some sectors are the parent's."""
    size, block = 13 * MIB + 512 * 7, 2 * MIB
    idents = [uuid.UUID(bytes=noise(rng, 16)) for _ in range(3)]
    model = bytearray(size)
    for layer in range(3):
        blocks = {}
        for number in rng.sample(range(7), 4):
            data = bytearray(noise(rng, block))
            sectors = None
            if layer != 0:
                sectors = set()
                while len(sectors) < rng.choice((1, 700, 4000)):
                    first = rng.randrange(block // 512)
                    sectors.update(range(first, min(first + rng.randrange(1, 300), block // 512)))
            for sector in range(block // 512) if sectors is None else sectors:
                at = number * block + sector * 512
                if at < size:
                    model[at:at + 512] = data[sector * 512:sector * 512 + 512]
            blocks[number] = (sectors, bytes(data))
        parent = None if layer == 0 else (idents[layer - 1], "layer%d.vhd" % (layer - 1))
        vhd_make(os.path.join(folder, "layer%d.vhd" % layer), size, blocks, idents[layer], parent)
    return model


# ---- VDI ----

def vdi_make(path, size, kind, entries, blocks, ident, modified, parent=None):
    count = -(-size // MIB)
    head = bytearray(MIB)
    head[:40] = b"<<< Oracle VM VirtualBox Disk Image >>>\n"
    struct.pack_into("<IIII", head, 64, 0xbeda107f, 0x00010001, 0x190, kind)
    struct.pack_into("<II", head, 340, MIB, 2 * MIB)
    struct.pack_into("<IIIIIQIIII", head, 348, 0, 0, 0, 512, 0, size, MIB, 0, count, len(blocks))
    head[392:408] = ident.bytes_le
    head[408:424] = modified.bytes_le
    if parent:
        head[424:440] = parent[0].bytes_le
        head[440:456] = parent[1].bytes_le
    with open(path, "wb") as out:
        out.write(bytes(head) + struct.pack("<%dI" % count, *entries).ljust(MIB, b"\xff") + b"".join(blocks))


def vdi_read(path):
    data = open(path, "rb").read()
    _, _, _, kind = struct.unpack_from("<IIII", data, 64)
    map_at, data_at = struct.unpack_from("<II", data, 340)
    size, block_size, extra, count, used = struct.unpack_from("<QIIII", data, 368)
    assert extra == 0 and block_size == MIB
    parent = bytes(size)
    if kind == 4:
        for name in os.listdir(os.path.dirname(path) or "."):
            other = os.path.join(os.path.dirname(path), name)
            if name.endswith(".vdi"):
                head = open(other, "rb").read(512)
                if head[392:408] == data[424:440]:
                    assert head[408:424] == data[440:456], "the parent's modification UUID"
                    parent = vdi_read(other)
    out, seen = bytearray(), 0
    for n in range(count):
        entry = struct.unpack_from("<I", data, map_at + n * 4)[0]
        seen += entry < 0xfffffffe
        if entry == 0xffffffff:
            out += parent[n * MIB:(n + 1) * MIB].ljust(MIB, b"\0")
        elif entry == 0xfffffffe:
            out += bytes(MIB)
        else:
            out += data[data_at + entry * MIB:data_at + (entry + 1) * MIB].ljust(MIB, b"\0")
    assert seen == used, "the header's count of blocks"
    return bytes(out[:size])


def case_vdi(folder, rng):
    size = 9 * MIB + 512 * 3
    idents = [(uuid.UUID(bytes=noise(rng, 16)), uuid.UUID(bytes=noise(rng, 16))) for _ in range(3)]
    model = bytearray(size)
    for layer in range(3):
        entries, blocks = [0xffffffff] * 10, []
        for number in rng.sample(range(10), 5):
            entries[number] = len(blocks)
            blocks.append(noise(rng, MIB))
            at = number * MIB
            model[at:at + MIB] = blocks[-1][:size - at]
        free = [n for n in range(10) if entries[n] == 0xffffffff]
        for number in rng.sample(free, 2) if layer else []:  # zeros here, whatever is under it
            entries[number] = 0xfffffffe
            at = number * MIB
            model[at:at + MIB] = bytes(min(MIB, size - at))
        vdi_make(os.path.join(folder, "layer%d.vdi" % layer), size, 4 if layer else 1, entries, blocks, *idents[layer],
                 idents[layer - 1] if layer else None)
    return model


# ---- VHDX ----

CRC = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
    CRC.append(n)


def crc32c(data, at=None):
    value = 0xffffffff
    if at is not None:
        data = data[:at] + bytes(4) + data[at + 4:]
    for byte in data:
        value = value >> 8 ^ CRC[(value ^ byte) & 0xff]
    return ~value & 0xffffffff


def guid(text):
    return uuid.UUID(text).bytes_le



BAT, METADATA = guid("2DC27766-F623-4200-9D64-115E9BFD4A08"), guid("8B7CA206-4790-4B9A-B8FE-575F050F886E")
PARAMETERS, SIZE = guid("CAA16737-FA36-4D43-B3B6-33F0AA44E76B"), guid("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
PAGE83, LOGICAL = guid("BECA12AB-B2E6-4523-93EF-C309E000C746"), guid("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
PHYSICAL, LOCATOR = guid("CDA348C7-445D-4471-9CC9-E9885251C556"), guid("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
VHDX_PARENT = guid("B04AEFB7-D19E-4A81-B789-25B8E9445913")
RATIO = 2**23 * 512 // MIB  # of blocks of 1 MiB to a block of bitmaps


def vhdx_locator(rows):
    """2.6.2.6: keys and values behind a header and a table."""
    head, text = VHDX_PARENT + struct.pack("<HH", 0, len(rows)), b""
    at = 20 + len(rows) * 12
    for key, value in rows:
        key, value = key.encode("utf-16-le"), value.encode("utf-16-le")
        head += struct.pack("<IIHH", at + len(text), at + len(text) + len(key), len(key), len(value))
        text += key + value
    return head + text


def vhdx_make(path, size, bat, body, data_guid, log_guid=bytes(16), log=b"", locator=None):
    """The log at 1 MiB, metadata at 2 MiB, BAT at 3 MiB, from 4 MiB on `body`."""
    image = bytearray(4 * MIB)
    image[:8] = b"vhdxfile"
    for at, sequence in ((64 << 10, 7), (128 << 10, 8)):
        header = bytearray(4096)
        struct.pack_into("<4sIQ16s16s16sHHIQ", header, 0, b"head", 0, sequence, noise(random.Random(1), 16), data_guid, log_guid,
                         0, 1, MIB, MIB)
        struct.pack_into("<I", header, 4, crc32c(header, 4))
        image[at:at + 4096] = header
    regions = bytearray(64 << 10)
    struct.pack_into("<4sIII", regions, 0, b"regi", 0, 2, 0)
    struct.pack_into("<16sQII", regions, 16, METADATA, 2 * MIB, MIB, 1)
    struct.pack_into("<16sQII", regions, 48, BAT, 3 * MIB, MIB, 1)
    struct.pack_into("<I", regions, 4, crc32c(regions, 4))
    image[192 << 10:256 << 10] = image[256 << 10:320 << 10] = regions
    image[MIB:MIB + len(log)] = log
    items = [(PARAMETERS, 4, struct.pack("<II", MIB, 2 if locator else 0)), (SIZE, 6, struct.pack("<Q", size)),
             (PAGE83, 6, bytes(range(16))), (LOGICAL, 6, struct.pack("<I", 512)), (PHYSICAL, 6, struct.pack("<I", 4096))]
    if locator:
        items.append((LOCATOR, 4, locator))
    struct.pack_into("<8sHH", image, 2 * MIB, b"metadata", 0, len(items))
    at = 64 << 10
    for n, (ident, flags, data) in enumerate(items):
        struct.pack_into("<16sIIII", image, 2 * MIB + 32 + n * 32, ident, at, len(data), flags, 0)
        image[2 * MIB + at:2 * MIB + at + len(data)] = data
        at += len(data)
    image[3 * MIB:3 * MIB + len(bat)] = bat
    with open(path, "wb") as out:
        out.write(bytes(image) + body)


def vhdx_read(path):
    data = open(path, "rb").read()
    heads = []
    for at in (64 << 10, 128 << 10):
        header = data[at:at + 4096]
        if header[:4] == b"head" and struct.unpack_from("<I", header, 4)[0] == crc32c(header, 4):
            heads.append((struct.unpack_from("<Q", header, 8)[0], header))
    header = max(heads)[1]
    assert header[48:64] == bytes(16), "the log was not played back"
    regions = {data[at + 16 + n * 32:at + 32 + n * 32]: struct.unpack_from("<QI", data, at + 32 + n * 32)
               for at in (192 << 10,) for n in range(struct.unpack_from("<I", data, at + 8)[0])}
    meta, bat = regions[METADATA][0], regions[BAT][0]
    items = {}
    for n in range(struct.unpack_from("<H", data, meta + 10)[0]):
        ident, at, length = struct.unpack_from("<16sII", data, meta + 32 + n * 32)
        items[ident] = data[meta + at:meta + at + length]
    block_size, flags = struct.unpack("<II", items[PARAMETERS])
    size, = struct.unpack("<Q", items[SIZE])
    parent = bytes(size)
    if flags & 2:
        text = items[LOCATOR]
        rows = {}
        for n in range(struct.unpack_from("<H", text, 18)[0]):
            key, value, klen, vlen = struct.unpack_from("<IIHH", text, 20 + n * 12)
            rows[text[key:key + klen].decode("utf-16-le")] = text[value:value + vlen].decode("utf-16-le")
        name = rows["relative_path"].replace("\\", "/")
        parent = vhdx_read(os.path.join(os.path.dirname(path), name)).ljust(size, b"\0")
    ratio = 2**23 * 512 // block_size
    out, used = bytearray(parent[:size]), set()
    for n in range(-(-size // block_size)):
        entry, = struct.unpack_from("<Q", data, bat + (n + n // ratio) * 8)
        state, at = entry & 7, entry >> 20 << 20
        block = data[at:at + block_size].ljust(block_size, b"\0")
        if state in (6, 7):
            assert at >= 4 * MIB and at not in used, "two blocks at one place"
            used.add(at)
        if state in (1, 2, 3):
            block = bytes(block_size)
        if state == 6 or state in (1, 2, 3):
            out[n * block_size:(n + 1) * block_size] = block[:size - n * block_size]
        elif state == 7:
            bitmap = struct.unpack_from("<Q", data, bat + ((n // ratio + 1) * (ratio + 1) - 1) * 8)[0]
            assert bitmap & 7 == 6
            for sector in range(block_size // 512):
                bit = n % ratio * (block_size // 512) + sector
                at = n * block_size + sector * 512
                if at < size and data[(bitmap >> 20 << 20) + bit // 8] >> bit % 8 & 1:
                    out[at:at + 512] = block[sector * 512:sector * 512 + 512]
    return bytes(out)


def log_entry(log_guid, sequence, tail, parts, file_size):
    """2.3.1: parts are (offset, 4096 bytes) or (offset, length of zeros)."""
    descriptors, sectors = b"", b""
    for offset, data in parts:
        if isinstance(data, int):
            descriptors += struct.pack("<4sIQQQ", b"zero", 0, data, offset, sequence)
        else:
            descriptors += struct.pack("<4s4s8sQQ", b"desc", data[4092:], data[:8], offset, sequence)
            sectors += struct.pack("<4sI4084sI", b"data", sequence >> 32, data[8:4092], sequence & 0xffffffff)
    length = -(-(64 + len(descriptors)) // 4096) * 4096
    head = struct.pack("<4sIIIQII16sQQ", b"loge", 0, length + len(sectors), tail, sequence, len(parts), 0, log_guid,
                       file_size, file_size)
    entry = bytearray((head + descriptors).ljust(length, b"\0") + sectors)
    struct.pack_into("<I", entry, 4, crc32c(entry, 4))
    return bytes(entry)


def case_vhdx_log(folder, rng):
    """A dynamic image whose BAT and one data block are only in the log: entries of an older sequence, then the active one, which
    wraps at the ring's end, then a torn one."""
    size, blocks = 12 * MIB, [noise(rng, MIB) for _ in range(8)]
    body = b"".join(blocks)
    order = rng.sample(range(12), 8)
    log_guid, bats = noise(rng, 16), []
    file_size = 4 * MIB + len(body)
    for known in (3, 5, 8):
        bat = [0] * 512
        for place, number in enumerate(order[:known]):
            bat[number] = (4 + place) * MIB | 6
        bats.append(struct.pack("<512Q", *bat))
    wrong = struct.pack("<512Q", *((4 * MIB | 6 if n < 12 else 0) for n in range(512)))
    ring = bytearray(MIB)

    def put(at, entry):
        for n in range(0, len(entry), 4096):
            ring[(at + n) % MIB:(at + n) % MIB + 4096] = entry[n:n + 4096]
        return (at + len(entry)) % MIB

    at = put(MIB // 2, log_entry(log_guid, 2**32 - 5, MIB // 2, [(3 * MIB, wrong)], file_size))  # an older sequence
    put(at, log_entry(noise(rng, 16), 2**32 + 90, at, [(3 * MIB, wrong)], file_size))  # of another opening
    tail = at = MIB - 4096
    zeroed, written = order[1], order[2]
    sector = noise(rng, 4096)
    at = put(at, log_entry(log_guid, 2**32 - 1, tail, [(3 * MIB, bats[0])], file_size))
    at = put(at, log_entry(log_guid, 2**32, tail, [(3 * MIB, bats[1]), (5 * MIB + 8192, 65536)], file_size))
    at = put(at, log_entry(log_guid, 2**32 + 1, tail, [(6 * MIB + 4096 * 5, sector), (3 * MIB, bats[2])], file_size))
    torn = bytearray(log_entry(log_guid, 2**32 + 2, tail, [(3 * MIB, wrong)], file_size))
    torn[5000] ^= 1
    put(at, torn)
    vhdx_make(os.path.join(folder, "log.vhdx"), size, wrong[:64], body, noise(rng, 16), log_guid, bytes(ring))
    model = bytearray(size)
    for place, number in enumerate(order):
        model[number * MIB:(number + 1) * MIB] = blocks[place]
    model[zeroed * MIB + 8192:zeroed * MIB + 8192 + 65536] = bytes(65536)
    model[written * MIB + 4096 * 5:written * MIB + 4096 * 6] = sector
    return model


def case_vhdx(folder, rng):
    """A chain of three with blocks that are partly here."""
    size = 11 * MIB + 512 * 9
    model, linkage = bytearray(size), None
    for layer in range(3):
        bat, bitmap, body = [0] * (RATIO + 1), bytearray(MIB), b""
        for number in rng.sample(range(12), 7):
            data, state = noise(rng, MIB), 6
            present = set(range(2048))
            if layer != 0:
                state = rng.choice((2, 6, 7, 7, 7))
            if state == 7:
                present = set()
                while len(present) < 900:
                    first = rng.randrange(2048)
                    present.update(range(first, min(first + rng.randrange(1, 200), 2048)))
            for sector in present:
                at = number * MIB + sector * 512
                if at < size:
                    model[at:at + 512] = bytes(512) if state == 2 else data[sector * 512:sector * 512 + 512]
                if state == 7:
                    bit = number * 2048 + sector
                    bitmap[bit // 8] |= 1 << bit % 8
            bat[number] = state
            if state != 2:
                bat[number] |= 4 * MIB + len(body)
                body += data
        locator = None
        if layer:
            bat[RATIO] = 4 * MIB + len(body) | 6
            body += bytes(bitmap)
            locator = vhdx_locator([("parent_linkage", "{%s}" % uuid.UUID(bytes_le=linkage)),
                                    ("absolute_win32_path", "C:\\images\\layer%d.vhdx" % (layer - 1)),
                                    ("relative_path", ".\\layer%d.vhdx" % (layer - 1))])
        linkage = noise(rng, 16)
        vhdx_make(os.path.join(folder, "layer%d.vhdx" % layer), size, struct.pack("<%dQ" % len(bat), *bat), body, linkage,
                  locator=locator)
    return model


if __name__ == "__main__":
    if sys.argv[1] == "make":
        cases = {"vhd": case_vhd, "vdi": case_vdi, "vhdx": case_vhdx, "vhdx_log": case_vhdx_log}
        with open(os.path.join(sys.argv[3], "model"), "wb") as model_file:
            model_file.write(cases[sys.argv[2]](sys.argv[3], random.Random(int(sys.argv[4]))))
    else:
        readers = {"vhd": vhd_read, "vdi": vdi_read, "vhdx": vhdx_read}
        with open(sys.argv[4], "wb") as raw_file:
            raw_file.write(readers[sys.argv[2]](sys.argv[3]))
