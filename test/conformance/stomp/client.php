<?php
// A consumer of PHP's own extension, which names no version and so speaks STOMP 1.0. Prints a line for each thing it sees.
$stomp = new Stomp("tcp://127.0.0.1:" . $argv[1], "php", "secret", ["client-id" => "php"]);
$stomp->setReadTimeout(30);
$stomp->subscribe("/topic/php", ["id" => "sub-1", "ack" => "client-individual"]);
$stomp->begin("t1");
$stomp->send("/topic/php", "given up", ["transaction" => "t1"]);
$stomp->abort("t1");
$stomp->begin("t2");
$stomp->send("/topic/php", "in a transaction", ["transaction" => "t2"]);
$stomp->commit("t2");
$stomp->send("/topic/php", "bytes \0 and ä", ["content-type" => "text/plain"]);
for ($n = 0; $n < 2; $n++) {
    $frame = $stomp->readFrame();
    if (!$frame) exit("nothing came: " . $stomp->error());
    echo $frame->command, " ", json_encode($frame->body), " ", $frame->headers["subscription"], "\n";
    if (!$stomp->ack($frame, ["receipt" => "r$n"])) exit("not acknowledged: " . $stomp->error());
}
echo "done\n";
