#!/usr/bin/perl
# talk.pl WHERE < SCRIPT - talks to a program over a stream and checks what it says; for tests of terminals and sockets.
#
# WHERE: unix:PATH, tcp:HOST:PORT (connects, for up to 20 seconds), unix-listen:PATH, tcp-listen:PORT (waits for a client), open:PATH (a
# terminal), or run:COMMAND (its standard input and output; its status becomes ours).
# SCRIPT: lines "send TEXT" and "expect REGEX" (in what was not yet matched, within 120 seconds); TEXT as in a Perl string.
# "insist TEXT => REGEX" sends TEXT every second until REGEX comes, to a guest that may not listen yet. "close" ends
# the connection, "end" expects the other side to do so.
use strict;
use warnings;
use Socket;
use Time::HiRes qw(sleep time);

my $where = shift // die "usage: talk.pl WHERE < SCRIPT\n";
my ($stream, $child);
$SIG{PIPE} = 'IGNORE';

sub address {
    my ($name) = @_;
    return (PF_UNIX, pack_sockaddr_un("$1")) if $name =~ /^unix(?:-listen)?:(.*)/;
    return (PF_INET, pack_sockaddr_in("$2", inet_aton("$1"))) if $name =~ /^tcp:(.*):(\d+)/;
    return (PF_INET, pack_sockaddr_in("$1", inet_aton('127.0.0.1'))) if $name =~ /^tcp-listen:(\d+)/;
    die "talk.pl: what is $name?\n";
}

if ($where =~ /^run:(.*)/s) {
    my $command = $1;
    socketpair($stream, my $other, AF_UNIX, SOCK_STREAM, 0) or die "socketpair: $!\n";
    $child = fork() // die "fork: $!\n";
    if (!$child) {
        open(STDIN, '<&', $other);
        open(STDOUT, '>&', $other);
        close $stream;
        exec '/bin/sh', '-c', "exec $command" or exit 127;
    }
    close $other;
} elsif ($where =~ /^open:(.*)/) {
    open($stream, '+<', $1) or die "talk.pl: $1: $!\n";
} elsif ($where =~ /-listen:/) {
    my ($family, $address) = address($where);
    socket(my $listener, $family, SOCK_STREAM, 0) or die "socket: $!\n";
    setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1);
    bind($listener, $address) && listen($listener, 1) or die "talk.pl: $where: $!\n";
    local $SIG{ALRM} = sub { die "talk.pl: nobody connected to $where\n" };
    alarm 60;
    accept($stream, $listener) or die "accept: $!\n";
    alarm 0;
} else {
    my ($family, $address) = address($where);
    my $until = time + 20;
    for (;;) {
        socket($stream, $family, SOCK_STREAM, 0) or die "socket: $!\n";
        last if connect($stream, $address);
        die "talk.pl: cannot connect to $where: $!\n" if time > $until;
        sleep 0.1;
    }
}

my $heard = '';
# Adds what comes within $seconds to $heard; false at the end of the stream.
sub hear {
    my ($seconds) = @_;
    my $bits = '';
    vec($bits, fileno($stream), 1) = 1;
    return 1 if !select($bits, undef, undef, $seconds);
    return sysread($stream, $heard, 65536, length $heard);
}

while (my $line = <STDIN>) {
    chomp $line;
    if ($line =~ /^send (.*)/) {
        my $text = eval "qq\0$1\0";
        syswrite($stream, $text) // die "talk.pl: send: $!\n";
    } elsif ($line =~ /^insist (.*?) => (.*)/) {
        my ($text, $pattern, $until) = ($1, $2, time + 120);
        while ($heard !~ /$pattern/s) {
            syswrite($stream, $text) // die "talk.pl: send: $!\n";
            next if time < $until && hear(1);
            die "talk.pl: $where did not say '$pattern' but:\n$heard\n" if $heard !~ /$pattern/s;
        }
        $heard = '';
    } elsif ($line =~ /^expect (.*)/) {
        my ($wanted, $until) = (qr/$1/s, time + 120);
        my $pattern = $1;
        for (;;) {
            if ($heard =~ $wanted) {
                substr($heard, 0, $+[0], '');
                last;
            }
            next if time < $until && hear(1);
            die "talk.pl: $where did not say '$pattern' but:\n$heard\n" if $heard !~ $wanted;
        }
    } elsif ($line eq 'close') {
        close $stream;
        exit 0;
    } elsif ($line eq 'end') {
        my $until = time + 120;
        while (hear(1)) {
            die "talk.pl: $where did not end but said:\n$heard\n" if time > $until;
        }
    } elsif ($line ne '') {
        die "talk.pl: script: $line?\n";
    }
}
if ($child) {
    waitpid($child, 0);
    exit(($? & 127) ? 128 + ($? & 127) : $? >> 8);
}
