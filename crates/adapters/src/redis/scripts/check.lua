-- Whether Redis can be read and written, by the original's probe.
local probe = prefix .. '__health_check_set__'
call('SET', probe, 'true', 'PX', 10000)
return call('GET', probe)
