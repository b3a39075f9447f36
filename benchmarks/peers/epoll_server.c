/* What one core can do: level-triggered epoll, no allocation per message. With an argument it
   answers lines, without keeping a line that a read cut off. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char in[65536], out[65536 * 16];

static size_t answer(size_t length, int lines)
{
    char *end = out;
    if (!lines) {
        memcpy(end, "Hello, ", 7);
        memcpy(end + 7, in, length);
        end[7 + length] = '!';
        return length + 8;
    }
    for (char *line = in, *stop; (stop = memchr(line, '\n', in + length - line)); line = stop + 1) {
        end = mempcpy(mempcpy(end, "Hello, ", 7), line, stop - line);
        *end++ = '!';
        *end++ = '\n';
    }
    return end - out;
}

int main(int argc, char **argv)
{
    int lines = argc > 1, one = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    bind(listening, (struct sockaddr *)&address, size);
    listen(listening, 4096);
    getsockname(listening, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listening}, events[1024];
    epoll_ctl(poll, EPOLL_CTL_ADD, listening, &event);
    for (;;) {
        int count = epoll_wait(poll, events, 1024, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listening) {
                while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    event.data.fd = fd;
                    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
                    write(fd, lines ? "Welcome!\r\n" : "Welcome!", lines ? 10 : 8);
                }
                continue;
            }
            ssize_t length = read(fd, in, sizeof in);
            if (length <= 0 || (length == 4 && !memcmp(in, "exit", 4)))
                close(fd);
            else
                write(fd, out, answer(length, lines));
        }
    }
}
