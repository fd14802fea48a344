/* lg: a closed-loop HTTP/1.1 load generator that tells time to first byte and server-sent events.
 *
 *     cc -O2 -o lg lg.c
 *     ./lg [-c CONNECTIONS] [-t SECONDS] [-w WARM_UP_SECONDS] [-n MAX_REQUESTS] [-H 'Name: value']... \
 *          [-f BODY_FILE] http://127.0.0.1:PORT/path
 *
 * Each connection sends its next request when its answer is complete. Prints one JSON object:
 * times in microseconds; rps, n, percentiles and events_s cover the time after the warm-up;
 * total, events, non2xx and errors cover everything. One thread, epoll, Linux, loopback only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum state { HEAD, SIZED_BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, BODY_UNTIL_CLOSE };

typedef struct {
    int fd, status, closing, line_len, matched;
    enum state state;
    size_t sent, head_len;
    uint64_t left, started, first_byte;
    char head[16384], line[64];
} conn;

static char *request;
static size_t request_len;
static int epoll_fd, port, first_bad_status;
static uint64_t measure_from, measure_until, events;
static uint32_t *latencies, *first_bytes; /* tenths of a microsecond */
static size_t samples, sample_cap;
static long total, max_requests, non2xx, errors; /* max_requests: 0 for no limit */

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* ---- connections ---- */

static void watch(conn *c, int how, uint32_t what) {
    struct epoll_event e = {.events = what, .data.ptr = c};
    epoll_ctl(epoll_fd, how, c->fd, &e);
}

static void dial(conn *c) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; connect(c->fd, (void *)&address, sizeof address); i++) {
        if (i == 50) {
            perror("lg: connect");
            exit(2);
        }
        usleep(20000);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void pump(conn *c) {
    while (c->sent < request_len) {
        ssize_t w = send(c->fd, request + c->sent, request_len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w < 0) {
            if (errno == EAGAIN) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        c->sent += w;
    }
}

static void begin(conn *c) {
    c->sent = c->head_len = 0;
    c->first_byte = 0;
    c->status = c->closing = c->line_len = c->matched = 0;
    c->state = HEAD;
    c->started = now_ns();
    pump(c);
}

static void redial(conn *c) {
    close(c->fd);
    dial(c);
    begin(c);
}

/* ---- answers ---- */

static void complete(conn *c) {
    uint64_t now = now_ns();
    int good = c->status >= 200 && c->status < 300;
    total++;
    if (!good) {
        non2xx++;
        if (!first_bad_status) first_bad_status = c->status;
    }
    if (good && now >= measure_from && now <= measure_until) {
        if (samples == sample_cap) {
            sample_cap = sample_cap ? sample_cap * 2 : 1 << 16;
            latencies = realloc(latencies, sample_cap * sizeof *latencies);
            first_bytes = realloc(first_bytes, sample_cap * sizeof *first_bytes);
        }
        latencies[samples] = (now - c->started) / 100;
        first_bytes[samples++] = ((c->first_byte ? c->first_byte : now) - c->started) / 100;
    }
    if (max_requests && total >= max_requests) return;
    if (c->closing) redial(c);
    else begin(c);
}

static void body(conn *c, const char *p, size_t n) {
    static const char mark[] = "data:";
    if (!c->first_byte) c->first_byte = now_ns();
    for (const char *end = p + n; p < end; p++) {
        if (*p == mark[c->matched]) {
            if (++c->matched == 5) {
                events++;
                c->matched = 0;
            }
        } else {
            c->matched = *p == 'd';
        }
    }
}

static const char *header(conn *c, const char *name) { return strcasestr(c->head, name); }

/* Takes the head out of the bytes. Returns how many it used, 0 for all of them, -1 for a head too large. */
static ssize_t take_head(conn *c, const char *p, size_t n) {
    size_t before = c->head_len, room = sizeof c->head - 1 - c->head_len, k = n < room ? n : room;
    memcpy(c->head + before, p, k);
    c->head[c->head_len += k] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) return c->head_len == sizeof c->head - 1 ? -1 : 0;
    ssize_t used = end + 4 - c->head - before;
    end[2] = 0;
    c->status = atoi(c->head + 9);
    c->closing = header(c, "\nconnection: close") != NULL;
    const char *length = header(c, "\ncontent-length:");
    if (header(c, "\ntransfer-encoding: chunked")) {
        c->state = CHUNK_SIZE;
    } else if (length) {
        c->state = SIZED_BODY;
        c->left = strtoull(length + 16, NULL, 10);
    } else {
        c->state = BODY_UNTIL_CLOSE;
        c->closing = 1;
    }
    return used;
}

/* Reads bytes of an answer. 1: it is complete, 0: more to come, -1: it is not HTTP. */
static int feed(conn *c, const char *p, size_t n) {
    while (n) {
        size_t used = 1;
        switch (c->state) {
        case HEAD: {
            ssize_t got = take_head(c, p, n);
            if (got <= 0) return got;
            if (c->state == SIZED_BODY && !c->left) return 1;
            used = got;
            break;
        }
        case SIZED_BODY:
        case CHUNK_DATA:
            used = n < c->left ? n : c->left;
            body(c, p, used);
            if (!(c->left -= used)) {
                if (c->state == SIZED_BODY) return 1;
                c->state = CHUNK_END;
            }
            break;
        case CHUNK_SIZE:
            if (*p == '\n') {
                c->line[c->line_len] = 0;
                c->line_len = 0;
                c->left = strtoull(c->line, NULL, 16);
                c->state = c->left ? CHUNK_DATA : TRAILER;
            } else if (c->line_len < 60) {
                c->line[c->line_len++] = *p;
            }
            break;
        case CHUNK_END:
            if (*p == '\n') c->state = CHUNK_SIZE;
            break;
        case TRAILER:
            if (*p == '\n') {
                if (!c->line_len) return 1;
                c->line_len = 0;
            } else if (*p != '\r') {
                c->line_len++;
            }
            break;
        case BODY_UNTIL_CLOSE:
            body(c, p, n);
            return 0;
        }
        p += used;
        n -= used;
    }
    return 0;
}

static void readable(conn *c) {
    static char buffer[262144];
    ssize_t r = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (r < 0 && errno == EAGAIN) return;
    if (r <= 0) {
        if (r == 0 && c->state == BODY_UNTIL_CLOSE) {
            complete(c);
            return;
        }
        /* A server may close an idle connection; everything else is an error. */
        if (r < 0 || c->head_len) errors++;
        redial(c);
        return;
    }
    int done = feed(c, buffer, r);
    if (done > 0) {
        complete(c);
    } else if (done < 0) {
        errors++;
        redial(c);
    }
}

/* ---- report ---- */

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double quantile(const uint32_t *sorted, double q) {
    if (!samples) return 0;
    size_t i = q * samples;
    return sorted[i < samples ? i : samples - 1] / 10.0;
}

static void report(double seconds, uint64_t events_before) {
    qsort(latencies, samples, sizeof *latencies, ascending);
    qsort(first_bytes, samples, sizeof *first_bytes, ascending);
    printf("{\"rps\":%.1f,\"n\":%zu,\"p50\":%.1f,\"p99\":%.1f,\"first50\":%.1f,\"first99\":%.1f,\"events_s\":%.1f,"
           "\"total\":%ld,\"events\":%llu,\"non2xx\":%ld,\"first_bad\":%d,\"errors\":%ld}\n",
           samples / seconds, samples, quantile(latencies, .5), quantile(latencies, .99), quantile(first_bytes, .5),
           quantile(first_bytes, .99), (events - events_before) / seconds, total, (unsigned long long)events, non2xx,
           first_bad_status, errors);
}

static char *read_file(const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(2);
    }
    fseek(f, 0, SEEK_END);
    *len = ftell(f);
    rewind(f);
    char *data = malloc(*len + 1);
    if (fread(data, 1, *len, f) != *len) exit(2);
    fclose(f);
    return data;
}

int main(int argc, char **argv) {
    int connections = 1, option;
    double seconds = 5, warm_up = 1;
    char headers[8192] = "", path[1024] = "/", *content = NULL;
    size_t content_len = 0;
    while ((option = getopt(argc, argv, "c:t:w:n:H:f:")) > 0) {
        switch (option) {
        case 'c': connections = atoi(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 'w': warm_up = atof(optarg); break;
        case 'n': max_requests = atol(optarg); break;
        case 'f': content = read_file(optarg, &content_len); break;
        case 'H':
            if (strlen(headers) + strlen(optarg) + 3 > sizeof headers) return 2;
            strcat(strcat(headers, optarg), "\r\n");
            break;
        default: return 2;
        }
    }
    const char *url = argv[optind];
    if (!url || sscanf(url, "http://127.0.0.1:%d%1000s", &port, path) < 1) {
        fprintf(stderr, "lg: the URL must begin with http://127.0.0.1:PORT\n");
        return 2;
    }
    request = malloc(content_len + 16384);
    request_len = sprintf(request,
                          "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\nContent-Type: application/json\r\n"
                          "%sContent-Length: %zu\r\n\r\n",
                          content ? "POST" : "GET", path, port, headers, content_len);
    memcpy(request + request_len, content, content_len);
    request_len += content_len;

    epoll_fd = epoll_create1(0);
    uint64_t start = now_ns(), events_before = 0;
    int measuring = 0;
    measure_from = start + warm_up * 1e9;
    measure_until = measure_from + seconds * 1e9;
    conn *all = calloc(connections, sizeof *all);
    for (int i = 0; i < connections; i++) {
        dial(&all[i]);
        begin(&all[i]);
    }
    struct epoll_event ready[256];
    uint64_t now;
    while ((now = now_ns()) < measure_until && !(max_requests && total >= max_requests)) {
        if (!measuring && now >= measure_from) {
            measuring = 1;
            events_before = events;
        }
        int n = epoll_wait(epoll_fd, ready, 256, 50);
        for (int i = 0; i < n; i++) {
            conn *c = ready[i].data.ptr;
            if (ready[i].events & EPOLLOUT) {
                pump(c);
                if (c->sent == request_len) watch(c, EPOLL_CTL_MOD, EPOLLIN);
            }
            if (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
        }
    }
    report((now - (measuring ? measure_from : start)) / 1e9, events_before);
    return 0;
}
