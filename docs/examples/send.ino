// A sensor on a small board: Arduino with WiFi or Ethernet, some 2 KB of RAM to spare.
//
// The request is made by hand, so no HTTP library is needed. A reading is stamped when it is measured (the board needs the
// time, from NTP or a clock chip), and waits in a ring while the network or the platform is away. On the open internet put
// a TLS client (WiFiClientSecure) in place of the plain one: the key travels with each request.

#ifndef HOST  // the address of the platform, the device's name and its key
#define HOST "192.168.1.10"
#define PORT 8000
#define DEVICE "pump-7"
#define KEY "iot_…"
#endif

#define RING 32              // readings kept while offline; then the oldest go
#define LONGEST_PAUSE 60000  // milliseconds

struct Reading {
  unsigned long time;  // seconds since 1970
  float temperature;
};

static struct Reading ring[RING];
static int first = 0, waiting = 0;
static unsigned long paused_at = 0, pause_for = 0;

void measured(unsigned long time, float temperature) {
  if (waiting == RING) {
    first = (first + 1) % RING;
    waiting--;
  }
  ring[(first + waiting) % RING] = (struct Reading){time, temperature};
  waiting++;
}

// The whole number behind a header's name, or -1.
static long header(const char *answer, const char *name) {
  const char *at = strstr(answer, name);
  return at ? atol(at + strlen(name)) : -1;
}

static void later(long retry_after) {
  pause_for = pause_for ? pause_for * 2 : 1000;
  if (pause_for > LONGEST_PAUSE) pause_for = LONGEST_PAUSE;
  if (retry_after > 0 && pause_for < 1000UL * retry_after) pause_for = 1000UL * retry_after;
  paused_at = millis();
}

// Sends the oldest reading; whether one was taken. Call it in loop().
bool send_one() {
  if (!waiting || (pause_for && millis() - paused_at < pause_for)) return false;
  const struct Reading *reading = &ring[first];
  char value[16], body[128], head[256], answer[512] = "";
  int got = 0;

  dtostrf(reading->temperature, 1, 2, value);
  snprintf(body, sizeof body, "{\"device\":\"%s\",\"time\":%lu,\"metrics\":{\"temperature\":%s}}", DEVICE, reading->time,
           value);
  snprintf(head, sizeof head,
           "POST /api/v1/readings HTTP/1.1\r\nHost: " HOST "\r\nAuthorization: Bearer " KEY
           "\r\nContent-Type: application/json\r\nContent-Length: %u\r\nConnection: close\r\n\r\n",
           (unsigned)strlen(body));

  if (!client.connect(HOST, PORT)) {
    later(0);
    return false;
  }
  client.print(head);
  client.print(body);
  // The head of the answer says all that counts; what does not fit is not needed.
  bool complete = false;
  for (unsigned long began = millis(); !complete && client.connected() && millis() - began < 15000;)
    while (!complete && client.available()) {
      answer[got++] = (char)client.read();
      answer[got] = 0;
      complete = got == (int)sizeof answer - 1 || (got > 3 && !strcmp(answer + got - 4, "\r\n\r\n"));
    }
  client.stop();

  long status = header(answer, "HTTP/1.1 ");
  if (status < 0 || status == 408 || status == 429 || status >= 500) {  // not taken, or not known: again is harmless
    long lower = header(answer, "\r\nretry-after: "), upper = header(answer, "\r\nRetry-After: ");
    later(lower > upper ? lower : upper);
    return false;
  }
  // 200 and 202: taken. Other 4xx: refused for good, sending it again is of no use.
  first = (first + 1) % RING;
  waiting--;
  pause_for = 0;
  return status < 300;
}
