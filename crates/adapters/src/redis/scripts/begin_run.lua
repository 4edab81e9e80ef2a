-- Begins a run of a periodic job: job, number of the last run ('' for none), number of the new run,
-- its start in ms. Returns 0 if the last run is another one by now.
local key = own_key('job', ARGV[3])
if (call('HGET', key, 'run_number') or '') ~= ARGV[4] then return 0 end
call('HSET', key, 'run_number', ARGV[5], 'started_at', ARGV[6])
return 1
