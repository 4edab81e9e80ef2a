# Runs supervisor.sh for as long as the process OWNER lives: forwards standard input to it, and keeps its input open
# after the process that started this one has ended. Removes RECORD, a directory, in the end.
# Usage: sh shared_supervisor.sh OWNER RECORD SUPERVISOR_SCRIPT FOLDER PROGRAM [ARGUMENT]...
owner=$1
record=$2
script=$3
shift 3
{
    cat
    while kill -0 "$owner" 2>/dev/null; do
        sleep 0.2
    done
} | sh -c "$script" supervisor "$@"
rm -rf -- "$record"
