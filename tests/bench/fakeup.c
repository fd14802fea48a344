/* fakeup: a fast upstream that speaks OpenAI's and Anthropic's API with canned answers.
 *
 *     cc -O2 -o fakeup fakeup.c && ./fakeup PORT
 *
 * Any POST gets one and the same answer, in Anthropic's shape if its path ends in /messages and
 * in OpenAI's otherwise; with "stream": true it gets 64 pieces of text as server-sent events.
 * How it behaves stands in the name of the model, so that the wish travels through a gateway:
 *
 *     fake          answers at once, an event per write
 *     fake-dN       N ms until the first byte
 *     fake-gN       N ms between events                ("fake-dNgM": both)
 *     fake-b        the whole stream in one write
 *
 * Any GET gets a list of one model. One thread, epoll, Linux; loopback only; it ends with the
 * process that started it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TOKENS 64
#define MAX_EVENTS 80
#define MAX_FD 65536
#define STREAM_HEAD \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"

typedef struct {
    char *data;
    size_t len;
} blob;

/* All that one API answers. `usage` is sent before the last event where the request asks for it. */
typedef struct {
    blob plain, event[MAX_EVENTS], usage, burst;
    int events;
} api;

typedef struct {
    int fd, events_sent, gap_ms, streaming, usage_wanted, timer; /* timer: index in `timers`, or -1 */
    const api *api;
    char *in;
    size_t in_len, in_cap;
    char *out;
    size_t out_len, out_cap, out_sent;
    uint64_t due;
} conn;

static api openai, anthropic;
static blob models;
static conn *timers[MAX_FD];
static int timer_count, epoll_fd;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* ---- the answers ---- */

static blob copy(const char *data, size_t len) {
    blob b = {malloc(len), len};
    memcpy(b.data, data, len);
    return b;
}

static blob whole(const char *json) {
    char text[8192];
    int n = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                    strlen(json), json);
    return copy(text, n);
}

static blob chunked(const char *event) {
    char text[4096];
    int n = sprintf(text, "%zx\r\n%s\r\n", strlen(event), event);
    return copy(text, n);
}

static void add(api *a, const char *event) { a->event[a->events++] = chunked(event); }

/* Closes the list of events: the last one carries the end of the body, and the burst is all in one. */
static void seal(api *a) {
    blob *last = &a->event[a->events - 1];
    last->data = realloc(last->data, last->len + 5);
    memcpy(last->data + last->len, "0\r\n\r\n", 5);
    last->len += 5;
    char *all = malloc(MAX_EVENTS * 4096);
    size_t n = sprintf(all, "%s", STREAM_HEAD);
    for (int i = 0; i < a->events; i++) {
        memcpy(all + n, a->event[i].data, a->event[i].len);
        n += a->event[i].len;
    }
    a->burst = copy(all, n);
    free(all);
}

#define TEXT \
    "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs. " \
    "How vexingly quick daft zebras jump! Sphinx of black quartz, judge my vow."
#define USAGE \
    "{\"prompt_tokens\":57,\"completion_tokens\":42,\"total_tokens\":99,\"prompt_tokens_details\":" \
    "{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0," \
    "\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}"
#define CHUNK \
    "data: {\"id\":\"chatcmpl-fake0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1760000000," \
    "\"model\":\"fake\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_fake\",\"choices\":"

static void build_openai(void) {
    char event[2048];
    openai.plain = whole(
        "{\"id\":\"chatcmpl-fake0123456789abcdef\",\"object\":\"chat.completion\",\"created\":1760000000,"
        "\"model\":\"fake\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"" TEXT "\","
        "\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":" USAGE ","
        "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_fake\"}");
    add(&openai, CHUNK "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
                       "\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    for (int i = 1; i < TOKENS; i++) {
        sprintf(event, CHUNK "[{\"index\":0,\"delta\":{\"content\":\" token%d\"},\"logprobs\":null,"
                             "\"finish_reason\":null}]}\n\n", i);
        add(&openai, event);
    }
    add(&openai, CHUNK "[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n");
    add(&openai, "data: [DONE]\n\n");
    openai.usage = chunked(CHUNK "[],\"usage\":" USAGE "}\n\n");
    seal(&openai);
    models = whole("{\"object\":\"list\",\"data\":[{\"id\":\"fake\",\"object\":\"model\",\"created\":1760000000,"
                   "\"owned_by\":\"fake\"}]}");
}

#define ANTHROPIC_USAGE \
    "\"usage\":{\"input_tokens\":57,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":"

static void build_anthropic(void) {
    char event[1024];
    anthropic.plain = whole(
        "{\"id\":\"msg_fake0123456789abcdef\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"fake\","
        "\"content\":[{\"type\":\"text\",\"text\":\"" TEXT "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,"
        ANTHROPIC_USAGE "42,\"service_tier\":\"standard\"}}");
    add(&anthropic,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_fake0123456789abcdef\","
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"fake\",\"content\":[],\"stop_reason\":null,"
        "\"stop_sequence\":null," ANTHROPIC_USAGE "1,\"service_tier\":\"standard\"}}}\n\n");
    add(&anthropic, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
                    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    for (int i = 0; i < TOKENS; i++) {
        sprintf(event, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
                       "\"delta\":{\"type\":\"text_delta\",\"text\":\" token%d\"}}\n\n", i);
        add(&anthropic, event);
    }
    add(&anthropic, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n");
    add(&anthropic, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
                    "\"stop_sequence\":null}," ANTHROPIC_USAGE "42}}\n\n");
    add(&anthropic, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    seal(&anthropic);
}

/* ---- sending ---- */

static void watch(conn *c, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

static void set_timer(conn *c) {
    c->timer = timer_count;
    timers[timer_count++] = c;
}

static void clear_timer(conn *c) {
    if (c->timer < 0) return;
    timers[c->timer] = timers[--timer_count];
    timers[c->timer]->timer = c->timer;
    c->timer = -1;
}

static void drop(conn *c) {
    clear_timer(c);
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

/* Sends now what the socket takes and keeps the rest. -1: the connection is dead. */
static int put(conn *c, blob b) {
    const char *p = b.data;
    size_t n = b.len;
    if (c->out_len == c->out_sent) {
        ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);
        if (w < 0 && errno != EAGAIN) return -1;
        if (w < 0) w = 0;
        if ((size_t)w == n) return 0;
        p += w;
        n -= w;
        c->out_len = c->out_sent = 0;
    }
    if (c->out_len + n > c->out_cap) {
        c->out_cap = (c->out_len + n) * 2;
        c->out = realloc(c->out, c->out_cap);
    }
    memcpy(c->out + c->out_len, p, n);
    c->out_len += n;
    watch(c, EPOLLIN | EPOLLOUT);
    return 0;
}

static int flush(conn *c) {
    ssize_t w = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
    if (w < 0) return errno == EAGAIN ? 0 : -1;
    c->out_sent += w;
    if (c->out_sent == c->out_len) {
        c->out_len = c->out_sent = 0;
        watch(c, EPOLLIN);
    }
    return 0;
}

/* Sends what is due. 1: the answer is complete, 0: more later, -1: the connection is dead. */
static int step(conn *c) {
    const api *a = c->api;
    if (!c->streaming) return put(c, a->plain) ? -1 : 1;
    if (c->events_sent == 0 && put(c, (blob){STREAM_HEAD, strlen(STREAM_HEAD)})) return -1;
    for (;;) {
        if (c->events_sent == a->events - 1 && c->usage_wanted && a->usage.len && put(c, a->usage)) return -1;
        if (put(c, a->event[c->events_sent])) return -1;
        if (++c->events_sent == a->events) return 1;
        if (c->gap_ms) {
            c->due += (uint64_t)c->gap_ms * 1000000;
            return 0;
        }
    }
}

/* ---- receiving ---- */

static int holds(const char *body, size_t n, const char *tight, const char *loose) {
    return memmem(body, n, tight, strlen(tight)) || memmem(body, n, loose, strlen(loose));
}

static int answer(conn *c, const char *head, const char *body, size_t n) {
    if (*head != 'P') return put(c, models);
    const char *line_end = memchr(head, '\r', 2048);
    c->api = line_end && memmem(head, line_end - head, "/messages ", 10) ? &anthropic : &openai;
    c->streaming = holds(body, n, "\"stream\":true", "\"stream\": true");
    c->usage_wanted = c->streaming && holds(body, n, "\"include_usage\":true", "\"include_usage\": true");
    c->gap_ms = c->events_sent = 0;
    c->due = now_ns();
    int delay_ms = 0, burst = 0;
    char *m = memmem(body, n, "\"fake-", 6);
    for (m = m ? m + 6 : NULL; m && m < body + n && *m != '"';) {
        if (*m == 'd') delay_ms = strtol(m + 1, &m, 10);
        else if (*m == 'g') c->gap_ms = strtol(m + 1, &m, 10);
        else burst |= *m++ == 'b';
    }
    if (burst && c->streaming) return put(c, c->api->burst);
    if (delay_ms) {
        c->due += (uint64_t)delay_ms * 1000000;
        set_timer(c);
        return 0;
    }
    int done = step(c);
    if (done == 0) set_timer(c);
    return done < 0 ? -1 : 0;
}

/* Length of the request at the start of the buffer, 0 while it is incomplete. */
static size_t request_length(conn *c, size_t *head_len) {
    char *end = c->in_len < 16 ? NULL : memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!end) return 0;
    *head_len = end + 4 - c->in;
    *end = 0; /* for strcasestr */
    char *length = strcasestr(c->in, "\ncontent-length:");
    int is_chunked = !length && strcasestr(c->in, "\ntransfer-encoding:");
    int waits = strcasestr(c->in, "\nexpect:") && c->in_len == *head_len;
    size_t total = *head_len + (length ? strtoul(length + 16, NULL, 10) : 0);
    *end = '\r';
    if (waits) send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
    if (is_chunked) {
        char *last = memmem(end + 2, c->in_len - (end + 2 - c->in), "\r\n0\r\n\r\n", 7);
        return last ? (size_t)(last + 7 - c->in) : 0;
    }
    return c->in_len < total ? 0 : total;
}

static int receive(conn *c) {
    for (;;) {
        if (c->in_cap - c->in_len < 65536) {
            c->in_cap = c->in_cap ? c->in_cap * 2 : 131072;
            c->in = realloc(c->in, c->in_cap + 1);
        }
        size_t room = c->in_cap - c->in_len;
        ssize_t r = recv(c->fd, c->in + c->in_len, room, 0);
        if (r == 0 || (r < 0 && errno != EAGAIN)) return -1;
        if (r < 0) break;
        c->in_len += r;
        if ((size_t)r < room) break;
    }
    size_t head_len, total;
    while ((total = request_length(c, &head_len))) {
        int dead = answer(c, c->in, c->in + head_len, total - head_len);
        memmove(c->in, c->in + total, c->in_len - total);
        c->in_len -= total;
        if (dead) return -1;
    }
    return 0;
}

/* ---- the loop ---- */

static void accept_all(int listener) {
    for (;;) {
        int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conn *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->timer = -1;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static int listen_on(int port) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) {
        perror("fakeup: bind");
        exit(1);
    }
    return listener;
}

static struct timespec *next_due(struct timespec *wait) {
    if (!timer_count) return NULL;
    uint64_t now = now_ns(), first = UINT64_MAX;
    for (int i = 0; i < timer_count; i++)
        if (timers[i]->due < first) first = timers[i]->due;
    uint64_t left = first > now ? first - now : 0;
    *wait = (struct timespec){left / 1000000000, left % 1000000000};
    return wait;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "fakeup PORT\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    build_openai();
    build_anthropic();
    int listener = listen_on(atoi(argv[1]));
    epoll_fd = epoll_create1(0);
    struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &listening);
    for (;;) {
        struct timespec wait;
        int n = epoll_pwait2(epoll_fd, ready, 256, next_due(&wait), NULL);
        for (int i = 0; i < n; i++) {
            conn *c = ready[i].data.ptr;
            if (!c) accept_all(listener);
            else if (((ready[i].events & EPOLLOUT) && flush(c)) ||
                     ((ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && receive(c)))
                drop(c);
        }
        uint64_t now = timer_count ? now_ns() : 0;
        for (int i = 0; i < timer_count;) {
            conn *c = timers[i];
            int done = c->due <= now ? step(c) : 0;
            if (done < 0) drop(c);
            else if (done > 0) clear_timer(c);
            else i++;
        }
    }
}
