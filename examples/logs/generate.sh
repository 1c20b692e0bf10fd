#!/bin/sh
# Writes a made-up web log in the Combined format, always the same for the same number of lines:
#
#   examples/logs/generate.sh 400 > examples/logs/access-small.log
#
# 25 requests a second from 06:00 on, for two weeks at most (30 million lines). Clients of 198.51.100.0/24 ask for pages, the lower their number
# the more often; half of the time 203.0.113.66 crawls large files beside them, four requests in five.
# One line in fifty is written two seconds late.
exec awk -v lines="${1:-400}" '
function random() {            # Park and Miller, exact in double precision
    state = (state * 16807) % 2147483647
    return state / 2147483647
}
function line(at, host, path, bytes, agent) {
    at += 6 * 3600
    return sprintf("%s - - [%d/May/2026:%02d:%02d:%02d +0000] \"GET %s HTTP/1.1\" 200 %d \"-\" \"%s\"", \
        host, 17 + int(at / 86400), int(at / 3600) % 24, int(at / 60) % 60, at % 60, path, bytes, agent)
}
BEGIN {
    state = 2026
    for (i = 0; i < lines; i++) {
        at = int(i / 25)
        crawls = int(i / 100) % 2 == 1
        late = random() < 0.02 && at >= 2
        if (crawls && random() < 0.8) {
            print line(at - 2 * late, "203.0.113.66", "/files/" int(random() * 1000) ".zip", \
                20000 + random() * 60000, "Crawler/1.0")
        } else {
            # Squared, so that low numbers come up more often.
            client = 1 + int(random() * random() * 40)
            print line(at - 2 * late, "198.51.100." client, "/pages/" int(random() * 200), \
                500 + random() * 9500, "Mozilla/5.0")
        }
    }
}'
