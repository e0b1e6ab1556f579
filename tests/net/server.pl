#!/usr/bin/perl
# server.pl PORT [DIRECTORY] - answers on 127.0.0.1: GET requests for files of DIRECTORY ("PUT MEBIBYTES" takes that much); without one
# whatever comes goes back. A process each.
use strict;
use warnings;
use IO::Socket::INET;

my ($port, $directory) = @ARGV;
my $listener = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1)
    or die "server.pl: port $port: $!\n";
$SIG{CHLD} = 'IGNORE';
$SIG{PIPE} = 'IGNORE';
while (1) {
    my $client = $listener->accept or next;
    if (fork) { close $client; next }
    close $listener;
    if (!defined $directory) {
        while (sysread $client, my $bytes, 65536) { syswrite $client, $bytes }
        exit;
    }
    my $request = <$client> // exit;
    if ($request =~ /^PUT (\d+)/) {
        my $left = $1 << 20;
        while ($left > 0) { $left -= sysread($client, my $bytes, 65536) || last }
        exit;
    }
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
    my ($name) = $request =~ m{^GET /([A-Za-z0-9._-]+) } or exit;
    open my $file, '<:raw', "$directory/$name" or do { syswrite $client, "HTTP/1.0 404 no\r\n\r\n"; exit };
    syswrite $client, "HTTP/1.0 200 OK\r\nContent-Length: " . (-s $file) . "\r\n\r\n";
    while (sysread $file, my $bytes, 65536) {
        for (my $at = 0; $at < length $bytes;) { $at += syswrite($client, $bytes, length($bytes) - $at, $at) // exit }
    }
    exit;
}
