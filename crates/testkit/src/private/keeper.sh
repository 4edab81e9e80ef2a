# Keeps one server, and outlives whoever asked for it: when the pipe that orders come through is
# closed, however its writer ended, server and folder go.
# Usage: sh keeper.sh FOLDER PROGRAM [ARGUMENT]...
folder=$1
shift
server=
while read -r order pids; do
    case $order in
    start)
        "$@" </dev/null >>"$folder/log" 2>&1 &
        server=$!
        echo "$server"
        ;;
    wait)
        wait "$server"
        server=
        echo over
        ;;
    *)
        # A signal; the list of processes is meant to be split.
        kill -s "$order" $pids 2>/dev/null
        echo sent
        ;;
    esac
done
if [ -n "$server" ]; then
    kill -s KILL "$server" $(cat "/proc/$server/task/$server/children") 2>/dev/null
    wait "$server"
fi
# Processes that were just killed may still write.
for again in 1 2 3 4 5 6 7 8 9; do
    rm -rf -- "$folder" 2>/dev/null && break
    sleep 0.1
done
