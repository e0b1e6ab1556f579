#!/bin/bash
# training.sh ARCH DIRECTORY - builds DIRECTORY/ARCH-train.cpio.gz, an initial RAM disk for training cpu/sequences.def.
#
# Its init runs what people run: interpreters, compilers, compressors, a database, text tools, cryptography, from Debian's packages
# for ARCH (i386 or amd64), and powers off. None of it is part of what the benchmarks measure. Use it as docs/bench.md says:
#   tick86 -m 1G -time virtual,ratio=4 -kernel LINUX -initrd ARCH-train.cpio.gz -append console=ttyS0 -serial stdio --profile=FILE
set -euo pipefail
arch=$1 out=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/packages.sh
. "$here/../support/packages.sh"
need_packages cpio
programs=(busybox-static perl-base python3-minimal lua5.4 sqlite3 openssl xz-utils bzip2 gzip bc mawk cpp-12 binutils)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Package lists and a package state of their own: the host's dpkg stays as it is.
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"
: >"$work/status"
options=(-qq -y -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State::lists="$work/lists"
    -o Dir::State::status="$work/status" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o Dir::Cache::archives="$work/archives" -o APT::Sandbox::User=root -o Acquire::Languages=none
    -o APT::Install-Recommends=false -o Debug::NoLocking=true)
apt-get "${options[@]}" update >/dev/null 2>&1 || true # the download tells what matters
apt-get "${options[@]}" install --download-only "${programs[@]}" >/dev/null
for package in "$work"/archives/*.deb; do
    dpkg -x "$package" "$work/root"
done
cd "$work/root"
rm -rf usr/share/doc usr/share/man usr/share/locale usr/lib/*/gconv usr/share/info
mkdir -p proc sys dev tmp root usr/local/sbin
cat >init <<'END'
#!/bin/busybox sh
export PATH=/usr/bin:/bin:/sbin:/usr/sbin:/usr/local/sbin LC_ALL=C
/bin/busybox --install -s /usr/local/sbin 2>/dev/null
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
cd /tmp
ln -sf mawk /usr/bin/awk
t() { echo "train: $*"; "$@" >/tmp/out 2>&1 || { echo "FAILED $*"; head -3 /tmp/out; }; }
cat /usr/bin/perl /usr/bin/openssl | head -c 3000000 >data
cat /usr/lib/python3.11/*.py | head -c 1500000 >text
t gzip -k text
t gzip -dc text.gz
t bzip2 -k text
t bzip2 -dc text.bz2
t xz -1 -k text
t xz -dc text.xz
t openssl dgst -sha256 data
t openssl dgst -md5 data
t openssl enc -aes-128-cbc -pass pass:x -in data -out data.aes
t openssl genrsa 1024
t md5sum data
t sha1sum data
t sha512sum data
t cksum data
t sort text
t awk '{for(i=1;i<=NF;i++)n[$i]++} END{for(w in n) print n[w],w}' text
t grep -c 'def [a-z_]*(self' text
t sed -e 's/self/this/g;s/[0-9][0-9]*/N/' text
t wc text
t diff text data
echo 'for(i=1;i<400;i++) {x=x+i^3/7.0; y=sqrt(x)}; scale=200; a(1)*4; e(2)' >b.bc
t sh -c "bc -l <b.bc"
cat >p.pl <<'P'
my %h; my $s = 0; my @a = map { ($_ * 7919) % 10007 } 1..20000;
for my $x (@a) { $h{$x % 997} .= chr(65 + $x % 26); $s += $x ** 2 % 31; }
my @b = sort { $a <=> $b } @a; my $t = join ",", map { sprintf "%04x", $_ } @b[0..500];
my $n = () = $t =~ /([0-9a-f])\1/g; $t =~ s/(\w+),(\w+)/$2-$1/g; print "$s $n ", length $t, "\n";
sub ack { my ($m, $n) = @_; $m == 0 ? $n + 1 : $n == 0 ? ack($m - 1, 1) : ack($m - 1, ack($m, $n - 1)) } print ack(2, 60), "\n";
P
t perl p.pl
cat >p.py <<'P'
class Node:
    def __init__(self, v): self.v, self.l, self.r = v, None, None
def insert(n, v):
    if n is None: return Node(v)
    if v < n.v: n.l = insert(n.l, v)
    else: n.r = insert(n.r, v)
    return n
root = None
for i in range(4000): root = insert(root, (i * 7919) % 10007)
d = {}
for i in range(40000): d[str(i % 911)] = d.get(str(i % 911), 0) + i * i % 13
print(sum(x * 1.5 for x in d.values()), sorted(d)[:5], "".join(chr(97 + i % 26) for i in range(9999)).count("abc"))
q = [[(i * j) % 17 for j in range(60)] for i in range(60)]
print(sum(sum(a * b for a, b in zip(r, c)) for r in q for c in zip(*q)))
print(2 ** 3000 % 10 ** 50, pow(3, 10 ** 40, 10 ** 30))
P
t python3 p.py
cat >p.lua <<'P'
local t = {} for i = 1, 100000 do t[i] = (i * 7919) % 100003 end table.sort(t)
local s = {} for w in string.rep("the quick brown fox ", 3000):gmatch("%a+") do s[w] = (s[w] or 0) + 1 end
local function q(n, r, a, b, c) if r > n then return 1 end local k = 0 for i = 1, n do
  if not (a[i] or b[r + i] or c[r - i + n]) then a[i], b[r + i], c[r - i + n] = true, true, true
  k = k + q(n, r + 1, a, b, c) a[i], b[r + i], c[r - i + n] = nil, nil, nil end end return k end
print(t[5], s.fox, q(7, 1, {}, {}, {}))
local x = 0.5 for i = 1, 200000 do x = 3.7 * x * (1 - x) + math.sin(x) * 1e-9 end print(x)
P
t lua5.4 p.lua
echo "create table t(a integer primary key, b text, c real); begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 8000) insert into t select i, hex(i * 7919 % 10007), i / 3.0 from n;
create index x on t(b); commit; select b, count(*), sum(c) from t where b like '3%' group by substr(b, 1, 3) order by 2 desc limit 5;
select sum(a.c * b.c) from t a join t b on a.b = b.b; select count(*) from t a, t b where a.a < 300 and b.a < 300 and a.c > b.c;" >q.sql
t sqlite3 db <q.sql
for n in $(seq 60); do
    echo "struct s$n { int a[$n + 1]; struct s$n *next; double d; };
static int f$n(struct s$n *p, unsigned x) { int r = 0; for (int i = 0; i < $n; i++) { r += p->a[i] * (int)(x >> (i & 7)); if (r & 64) r ^= p->next ? p->next->a[i] : i;
switch (r & 7) { case 1: r = r * 3; break; case 2: r -= i; break; case 5: p->d = r / 3.0; break; } } return r; } int g$n(struct s$n *p) { return f$n(p, $n) + f$n(p->next, 7); }"
done >c.c
cc1=$(echo /usr/lib/gcc/*/12/cc1)
t $cc1 -quiet -O0 c.c -o c0.s
t $cc1 -quiet -O2 c.c -o c2.s
t as c2.s -o c2.o
t objdump -d c2.o
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do t find / -xdev -name '*.so*' -size +10; t ls -lR /usr/lib; t sh -c 'for i in 1 2 3 4 5 6 7 8 9; do echo $i | cat | wc -c; done'; done
echo "train: done"
poweroff -f
END
chmod +x init
find . | cpio -o -H newc --quiet | gzip -1 >"$out/$arch-train.cpio.gz"
ls -l "$out/$arch-train.cpio.gz"
