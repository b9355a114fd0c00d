// What a board offers the sketch (docs/examples/send.ino), on POSIX: a clock, a TCP client, and a main that measures.
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static unsigned long millis() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000UL + now.tv_nsec / 1000000UL;
}

static char *dtostrf(double value, int width, int digits, char *to) {
  sprintf(to, "%*.*f", width, digits, value);
  return to;
}

static struct Client {
  int socket_;
  bool open;

  bool connect(const char *host, int port) {
    char service[8];
    struct addrinfo hints = {}, *found;
    snprintf(service, sizeof service, "%d", port);
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, service, &hints, &found)) return false;
    socket_ = socket(found->ai_family, found->ai_socktype, 0);
    open = ::connect(socket_, found->ai_addr, found->ai_addrlen) == 0;
    freeaddrinfo(found);
    return open;
  }
  void print(const char *text) {
    for (size_t left = strlen(text); left;) {
      ssize_t sent = write(socket_, text, left);
      if (sent <= 0) return;
      text += sent;
      left -= sent;
    }
  }
  int available() {
    struct pollfd asked = {socket_, POLLIN, 0};
    char byte;
    if (!open || poll(&asked, 1, 50) < 1) return 0;
    ssize_t there = recv(socket_, &byte, 1, MSG_PEEK);
    if (there <= 0) open = false;
    return there > 0;
  }
  int read() {
    unsigned char byte;
    return ::read(socket_, &byte, 1) == 1 ? byte : -1;
  }
  bool connected() { return open; }
  void stop() { close(socket_); }
} client;

#include SKETCH

int main() {
  unsigned long now = (unsigned long)time(NULL);
  for (int i = 0; i < 3; i++) measured(now - 2 + i, 20.25f + i);
  int taken = 0;
  for (unsigned long began = millis(); waiting && millis() - began < 20000;) taken += send_one();
  printf("taken %d, waiting %d\n", taken, waiting);
  return waiting != 0;
}
