-- Drives wrk through prebuilt requests: every one is sent once, then the thread stops.
-- Arguments: directory of the request files, connections of each thread, the status of a good answer. A thread owns that many files and takes from
-- them in turn. When it has all answers it prints one line "slice {json}"; times are those of CLOCK_MONOTONIC.

local ffi = require("ffi")
ffi.cdef[[
  typedef struct { long seconds; long nanoseconds; } bench_time;
  int clock_gettime(int clock, bench_time *at);
]]

local instant = ffi.new("bench_time")
local function now()
  ffi.C.clock_gettime(1, instant)
  return tonumber(instant.seconds) + tonumber(instant.nanoseconds) / 1e9
end

local created = 0
function setup(thread)
  thread:set("number", created)
  created = created + 1
end

local files, lengths = {}, {}
local total, sent, answered, accepted = 0, 0, 0, 0
local statuses, began, rehearsal, taken = {}, 0, false, 0

function init(args)
  local directory, count = args[1], tonumber(args[2])
  taken = tonumber(args[3])
  for each = 1, count do
    local name = string.format("%s/%d", directory, number * count + each - 1)
    files[each] = assert(io.open(name .. ".http", "rb"))
    lengths[each] = {}
    for line in io.lines(name .. ".lengths") do
      table.insert(lengths[each], tonumber(line))
    end
    total = total + #lengths[each]
  end
  -- wrk asks its first thread for one request before it starts, to look at it; that one is not sent.
  rehearsal = number == 0
end

local function request_at(position)
  local file = position % #files + 1
  return files[file]:read(lengths[file][math.floor(position / #files) + 1])
end

function request()
  if rehearsal then
    rehearsal = false
    local first = request_at(0)
    files[1]:seek("set", 0)
    return first
  end
  if sent == total then
    return ""  -- nothing left for this connection: it stays idle while the others wait for their answers
  end
  if sent == 0 then
    began = now()
  end
  sent = sent + 1
  return request_at(sent - 1)
end

local function report()
  local parts = {}
  for status, count in pairs(statuses) do
    table.insert(parts, string.format('"%d":%d', status, count))
  end
  io.write(string.format(
    'slice {"began":%.6f,"ended":%.6f,"accepted":%d,"statuses":{%s}}\n', began, now(), accepted, table.concat(parts, ",")
  ))
  io.flush()
end

function response(status, headers, body)
  if status ~= taken then
    -- A server may refuse before it has read the request, and wrk would then wait for another answer for ever.
    io.write(string.format("refused %d %s\n", status, string.gsub(string.sub(body, 1, 500), "%c", " ")))
    io.flush()
  end
  statuses[status] = (statuses[status] or 0) + 1
  accepted = accepted + (tonumber(string.match(body, '"accepted": ?(%d+)')) or 0)
  answered = answered + 1
  if answered == total then
    report()
    wrk.thread:stop()
  end
end

function done(summary, latency, requests)
  io.write(string.format(
    'all {"p50_ms":%.2f,"p99_ms":%.2f,"errors":%d}\n', latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  ))
end
