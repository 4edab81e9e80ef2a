# Runs one server process and outlives the process that asked for it: when standard input is closed, however its writer
# ended, the server is killed and its folder is removed.
# Usage: sh supervisor.sh FOLDER PROGRAM [ARGUMENT]...
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
        # The name of a signal. The list of process ids is split on purpose.
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
for attempt in 1 2 3 4 5 6 7 8 9; do
    rm -rf -- "$folder" 2>/dev/null && break
    sleep 0.1
done
