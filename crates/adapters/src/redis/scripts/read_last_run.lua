-- Returns the number and the start of a periodic job's last run, or nothing: job.
local run = call('HMGET', own_key('job', ARGV[3]), 'run_number', 'started_at')
return run[1] and run or {}
