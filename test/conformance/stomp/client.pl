#!/usr/bin/perl
# A consumer of Net::Stomp, which names no version and so speaks STOMP 1.0. Prints a line for each thing it sees.
use strict;
use warnings;
use Net::Stomp;

my ($port) = @ARGV;
$| = 1;
my $consumer = Net::Stomp->new({ hostname => "127.0.0.1", port => $port });
print $consumer->connect({ login => "perl", passcode => "secret" })->command, "\n";
$consumer->subscribe({ destination => "/queue/perl", ack => "client-individual" });

# Its own answers would get lost among the messages: the sender is a connection of its own.
my $sender = Net::Stomp->new({ hostname => "127.0.0.1", port => $port });
$sender->connect({ login => "perl", passcode => "secret" });
for my $body ("one", "two") {
    print "sent $body ", $sender->send_with_receipt({ destination => "/queue/perl", body => $body }), "\n";
}
$sender->send({ destination => "/queue/perl", body => "three" });

my %refused;
for (1 .. 4) {
    my $frame = $consumer->receive_frame({ timeout => 30 }) or die "nothing came";
    print $frame->command, " ", $frame->body, " ", $frame->headers->{redelivered} // "new", "\n";
    if ($frame->body eq "two" && !$refused{two}++) { $consumer->nack({ frame => $frame }) }
    else { $consumer->ack({ frame => $frame }) }
}
$consumer->disconnect;
$sender->disconnect;
