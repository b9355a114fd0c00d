-- Append whole requests to the shards' streams: each with all its entries, or not at all.
-- ARGV: generation, epoch, segment, most waiting bytes, idempotency seconds, most idempotency keys an hour, hour,
--       number of requests, then for each: number of entries, idempotency key or "", note, and shard, payload per entry.
-- Answers one item a request: {"ok", shards to wake, id, ...} | {"repeated", value} | {"full"} | {"keys"}; or {"generation"} / {"layout"}.
if redis.call('GET', 'log:generation') ~= ARGV[1] then return {'generation'} end
if redis.call('GET', 'log:epoch') ~= ARGV[2] then return {'layout'} end
local segment, bound = ARGV[3], tonumber(ARGV[4])
local keep, most_keys, hour = ARGV[5], tonumber(ARGV[6]), ARGV[7]
-- Of each shard met: bytes ever appended, how many of them are stored, whether a drain was asked for. Looked up once.
local came, stored, asked = {}, {}, {}
local answers, at = {}, 9
for request = 1, tonumber(ARGV[8]) do
    local entries, key, note = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
    at = at + 3
    local known = key ~= '' and redis.call('GET', 'idem:' .. key)
    local answer = nil
    if known then
        answer = {'repeated', known}
    elseif key ~= '' and tonumber(redis.call('GET', 'idem:count:' .. hour) or 0) >= most_keys then
        answer = {'keys'}
    else
        for entry = 0, entries - 1 do
            local shard = ARGV[at + 2 * entry]
            if not came[shard] then
                local sizes = redis.call('HMGET', 'log:' .. shard .. ':meta', 'in', 'out')
                came[shard], stored[shard] = tonumber(sizes[1]) or 0, tonumber(sizes[2]) or 0
            end
            if came[shard] - stored[shard] > bound then answer = {'full'} end
        end
    end
    if not answer then
        answer = {'ok', ''}
        for entry = 0, entries - 1 do
            local shard, payload = ARGV[at + 2 * entry], ARGV[at + 2 * entry + 1]
            local offset = came[shard] + #payload
            came[shard] = offset
            -- %.0f: as an integer, however large.
            answer[entry + 3] = redis.call('XADD', 'log:' .. shard, '*', 's', segment, 'o', string.format('%.0f', offset), 'p', payload)
            if asked[shard] == nil then
                -- At most one drain message waits per shard; the flag expires, so that a lost one delays but never loses.
                asked[shard] = redis.call('SET', 'log:' .. shard .. ':drain', '1', 'NX', 'EX', 2) and true or false
                if asked[shard] then answer[2] = answer[2] .. shard .. ' ' end
            end
        end
        if key ~= '' then
            local ids = {}
            for entry = 3, #answer do ids[entry - 2] = answer[entry] end
            redis.call('SET', 'idem:' .. key, segment .. '\n' .. table.concat(ids, ',') .. '\n' .. note, 'EX', keep)
            redis.call('INCR', 'idem:count:' .. hour)
            redis.call('EXPIRE', 'idem:count:' .. hour, 7200)
        end
    end
    answers[request] = answer
    at = at + 2 * entries
end
for shard in pairs(asked) do
    redis.call('HSET', 'log:' .. shard .. ':meta', 'in', string.format('%.0f', came[shard]))
end
return answers
