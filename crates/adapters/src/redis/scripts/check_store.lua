-- Checks that Redis can be read and written, with the key that the original uses for this.
local key = prefix .. '__health_check_set__'
call('SET', key, 'true', 'PX', 10000)
return call('GET', key)
