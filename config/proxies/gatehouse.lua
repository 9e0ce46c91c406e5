-- HAProxy asks Gatehouse: who is this, and may they? On a 200 the identity headers of the answer are set on the
-- request; any other answer goes to the client as it is. No answer, or any mistake in here, is 503 (haproxy.cfg has a
-- second look).

local upstream = os.getenv("GATEHOUSE_UPSTREAM")
local port = os.getenv("GATEHOUSE_PORT") or "443"

-- What of the client's request Gatehouse is told, beside what was asked for.
local told = {
  "cookie", "accept", "x-requested-with", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-site", "upgrade",
  "hx-request", "turbo-frame", "x-turbo-request-id",
}

-- Milliseconds. HAProxy 2.6 asks four times before it gives up, so a client waits four times as long for its 503.
local patience = 5000

-- What HAProxy says itself where Gatehouse cannot be reached, breaks off, is silent or talks nonsense (503 is also
-- Gatehouse's own).
local no_answer = { [502] = true, [504] = true }

-- What a refusal brings to the client.
local refusal = {
  "location", "content-type", "www-authenticate", "cache-control", "vary", "retry-after", "hx-refresh",
  "content-security-policy", "x-content-type-options", "referrer-policy",
}

-- Headers of your own (headers.extra) are added here, and to what haproxy.cfg deletes.
local identity = {
  -- begin generated: identity (npm run generate:proxies)
  "x-auth-request-user", "x-auth-request-email", "x-auth-request-email-verified",
  "x-auth-request-preferred-username", "x-auth-request-groups", "x-auth-request-staff", "x-auth-request-superuser",
  "remote-user", "remote-email", "remote-name", "remote-groups", "x-gatehouse-assertion",
  -- end generated: identity
}

-- Headers come as lists that begin at 0.
local function all(headers, name)
  local values = {}
  local list = headers[name]
  if list == nil then return values end
  for index = 0, 100 do
    if list[index] == nil then break end
    values[#values + 1] = list[index]
  end
  return values
end

local function question(txn, client)
  local headers = {
    ["host"] = { upstream },
    ["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" },
    ["x-forwarded-host"] = all(client, "host"),
    ["x-forwarded-port"] = { port },
    ["x-forwarded-uri"] = { txn.f:pathq() },
    ["x-forwarded-method"] = { txn.f:method() },
    ["x-forwarded-for"] = { txn.f:src() },
  }
  for _, name in ipairs(told) do
    local values = all(client, name)
    if #values > 0 then headers[name] = { table.concat(values, name == "cookie" and "; " or ", ") } end
  end
  return { url = "http://" .. upstream .. "/oauth2/forward-auth", headers = headers, timeout = patience }
end

-- The application never sees our cookies.
local function without_ours(cookies)
  local left = {}
  for _, header in ipairs(cookies) do
    for pair in header:gmatch("[^;]+") do
      local text = pair:match("^%s*(.-)%s*$")
      local name = text:gsub("^__Host%-", ""):gsub("^__Secure%-", "")
      if text ~= "" and name:sub(1, 10) ~= "gatehouse_" then left[#left + 1] = text end
    end
  end
  return table.concat(left, "; ")
end

local function allow(txn, client, answer)
  for _, name in ipairs(identity) do
    local value = all(answer, name)[1]
    txn.http:req_del_header(name)
    if value ~= nil and value ~= "" then txn.http:req_set_header(name, value) end
  end
  local left = without_ours(all(client, "cookie"))
  txn.http:req_del_header("cookie")
  if left ~= "" then txn.http:req_set_header("cookie", left) end
  txn:set_var("txn.gatehouse", "allowed")
end

local function refuse(txn, response)
  local reply = txn:reply { status = response.status }
  for _, name in ipairs(refusal) do
    for _, value in ipairs(all(response.headers, name)) do reply:add_header(name, value) end
  end
  if txn.f:method() ~= "HEAD" and response.body ~= nil then reply:set_body(response.body) end
  txn:done(reply)
end

core.register_action("gatehouse", { "http-req" }, function(txn)
  local client = txn.http:req_get_headers()
  local asked, response = pcall(function() return core.httpclient():get(question(txn, client)) end)
  if not asked or response == nil or type(response.status) ~= "number" or response.status < 200 or no_answer[response.status] then
    core.Warning("Gatehouse did not answer: " .. tostring(asked and response and response.status or response))
    txn:done(txn:reply { status = 503, headers = { ["cache-control"] = { "no-store" } } })
  elseif response.status == 200 then
    allow(txn, client, response.headers)
  else
    refuse(txn, response)
  end
end)
