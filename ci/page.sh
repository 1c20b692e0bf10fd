#!/usr/bin/env bash
# Opens the pages of extreme runs and of replays in Chromium, as wide as a desk's screen and as a
# telephone's, and fails where text overlaps, is cut off or makes the page scroll sideways, or where
# the browser complains. It does so in one colour scheme: that all of them have every colour, and that
# text can be read in each, is a test of its own (cli/src/report/html/colours.rs). Skipped where there
# is no Chromium. PAGES=FOLDER keeps the pages and pictures of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [[ -z $browser ]]; then
    echo "SKIPPED: there is no Chromium"
    exit 0
fi
flags=(--headless --disable-gpu --hide-scrollbars --no-first-run)
# The browser's sandbox refuses to start for root.
((EUID != 0)) || flags+=(--no-sandbox)

widths=(1280 390)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pages=${PAGES:-$work/pages}
mkdir -p "$pages"
flags+=(--user-data-dir="$work/profile")
# As the tests before: for a package alone or without a test its features differ, and all is built anew. The
# test `html` runs nothing here; it needs the program, which the replays below do too.
FAIRLANE_PAGES=$(realpath "$pages") cargo test --quiet --locked --workspace --bin fairlane --test html \
    every_page_is_well_formed >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}

# replay NAME FLAG...: a page of a replay.
replay() {
    "${CARGO_TARGET_DIR:-target}/debug/fairlane" replay --html "$pages/$1.html" "${@:2}" >/dev/null
}
replay replay examples/logs/access-small.log --cost bytes
replay replay-fair examples/logs/access-small.log --cost bytes --scheduler fair
# Hundreds of tenants, of whom a hundred have rows, waits of minutes, and tenants of all sizes.
awk 'BEGIN {
    print "tenant,time,cost"
    for (i = 0; i < 8000; i++) printf "tenant-%d,%d,%d\n", i * i % 397, i, 1 + i * i % 397 % 50 * (i % 20 == 0 ? 90 : 1)
}' | replay replay-many - --capacity 400 --load 2

# probe PAGE: what is found in copies of it that may run the probe, one line for each width. They
# stand in frames, because a window has a least width.
probe() {
    local width
    sed '/^<meta http-equiv="Content-Security-Policy"/d' "$1" >"$work/copy.html"
    { echo "<script>" && cat ci/page-probe.js && echo "</script>"; } >>"$work/copy.html"
    {
        echo "<!DOCTYPE html><body>"
        for width in "${widths[@]}"; do
            echo "<iframe width=\"$width\" height=\"900\" style=\"border: 0\" srcdoc=\""
            sed 's/&/\&amp;/g; s/"/\&quot;/g' "$work/copy.html"
            echo "\"></iframe>"
        done
    } >"$work/probe.html"
    "$browser" "${flags[@]}" --dump-dom "file://$work/probe.html" 2>/dev/null |
        grep -o -m 1 '<body[^>]*' | head -1 | grep -o 'data-found-[0-9]*="[^"]*"'
}

passed=0 failed=0
# expect WHAT FOUND PATTERN: counts one check.
expect() {
    if [[ $2 =~ $3 ]]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "pages: $1: $2"
    fi
}

# pictures PAGE: the page as it looks in a dark and in a light room.
pictures() {
    local scheme
    # Blink counts dark as 0 and light as 1.
    for scheme in 0-dark 1-light; do
        "$browser" "${flags[@]}" --blink-settings=preferredColorScheme="${scheme%-*}" --window-size=1280,2600 \
            --screenshot="${1%.html}-${scheme#*-}.png" "file://$(realpath "$1")" 2>/dev/null
    done
}

for page in "$pages"/*.html; do
    name=$(basename "$page" .html)
    found=$(probe "$page" || true)
    for width in "${widths[@]}"; do
        expect "$name at $width" "$found" "data-found-$width=\"none\""
    done
    [[ -z ${PAGES:-} ]] || pictures "$page"
done

for name in usual hostile replay; do
    complaints=$("$browser" "${flags[@]}" --enable-logging=stderr --dump-dom "file://$(realpath "$pages/$name.html")" \
        2>&1 >/dev/null | grep CONSOLE || true)
    expect "$name, what the browser says" "$complaints" '^$'
done

# Negative control: the probe finds what it looks for.
sed 's/<footer>/<p style="width: 2000px">wide<\/p><footer>/; s/ y="[0-9.]*%" dx="-8"/ y="50%" dx="-8"/' \
    "$pages/usual.html" >"$work/bad.html"
found=$(probe "$work/bad.html" || true)
for width in "${widths[@]}"; do
    expect "a page with faults at $width" "$found" "data-found-$width=\"[0-9]+ px wider[^\"]*overlap"
done

echo "$passed passed, $failed failed"
((failed == 0))
