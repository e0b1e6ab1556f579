#!/usr/bin/perl
# wav.pl FILE - the tones of a WAV file (48000 Hz, 16 bits, one channel): a line for each, with its start, length (ms) and pitch (Hz). Silence is
# 20 ms of zeros.
use strict;
use warnings;

my $rate = 48000;
open my $file, '<:raw', $ARGV[0] or die "cannot read $ARGV[0]: $!\n";
local $/;
my $bytes = <$file>;
my ($riff, $size, $wave, $format, $channels, $file_rate, $bits, $data, $length) =
    (unpack 'a4 V a4 x8 v v V x6 v a4 V', $bytes)[0 .. 8];
die "no such WAV file\n" unless "$riff$wave$data" eq 'RIFFWAVEdata' && $format == 1 && $channels == 1 && $bits == 16 && $file_rate == $rate;
die "the sizes are wrong\n" unless $length + 44 == length $bytes && $size + 8 == length $bytes;
my @samples = unpack 's<*', substr $bytes, 44;
printf "length %.3f\n", @samples / $rate;
my ($first, $last);
my @tones;
for my $n (0 .. $#samples) {
    next if abs($samples[$n]) < 100;
    push @tones, [$first, $last] if defined $last && $n - $last > $rate / 50;
    $first = $n if !defined $last || $n - $last > $rate / 50;
    $last = $n;
}
push @tones, [$first, $last] if defined $last;
for my $tone (@tones) {
    my @rises; # upward zero crossings, between samples
    for my $n ($tone->[0] + 1 .. $tone->[1]) {
        my ($a, $b) = @samples[$n - 1, $n];
        push @rises, $n - 1 + $a / ($a - $b) if $a < 0 && $b >= 0;
    }
    my $pitch = @rises > 1 ? (@rises - 1) * $rate / ($rises[-1] - $rises[0]) : 0;
    printf "tone %.1f %.1f %.2f\n", $tone->[0] * 1000 / $rate, ($tone->[1] - $tone->[0] + 1) * 1000 / $rate, $pitch;
}
