#!/bin/sh
# Makes the media of the sample recordings, small and real: ffmpeg draws a test pattern that tells the second, and hums.
# Run again only to change them; the files are committed.
set -eu
cd "$(dirname "$0")"
quiet="ffmpeg -hide_banner -loglevel error -y -fflags +bitexact -flags +bitexact"
picture="testsrc2=size=160x120:rate=5:duration=12"
sound="sine=frequency=330:duration=12:sample_rate=16000"
# A key frame every two seconds, and the index in front: players seek by ranges.
$quiet -f lavfi -i "$picture" -f lavfi -i "$sound" -c:v libx264 -preset veryslow -crf 36 -g 10 -pix_fmt yuv420p \
    -c:a aac -b:a 16k -movflags +faststart webcams.mp4
$quiet -f lavfi -i "$picture" -f lavfi -i "$sound" -c:v libvpx-vp9 -crf 55 -b:v 0 -g 10 -c:a libopus -b:a 12k webcams.webm
$quiet -f lavfi -i "$picture" -c:v libvpx-vp9 -crf 55 -b:v 0 -g 10 deskshare.webm
$quiet -f lavfi -i "$sound" -c:a libopus -b:a 12k audio.ogg
$quiet -f lavfi -i "testsrc=size=176x136:rate=1:duration=1" -frames:v 1 thumb-1.png
$quiet -f lavfi -i "testsrc=size=320x240:rate=1:duration=1" -frames:v 1 slide-1.png
