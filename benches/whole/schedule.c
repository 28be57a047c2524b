/* For scripts/show-schedule.sh.
 *
 *   schedule capture COUNT RATE CONNECTIONS >FILE   a capture of GETs with heads of 500 bytes, RATE a second by
 *                                                   packet time, on so many connections in turn
 *   schedule sleep COUNT RATE                       a bare loop of clock_nanosleep to absolute times: prints how
 *                                                   late it woke, in microseconds: p50 p99 p99.9 max
 *   schedule drift RATE <FILE                       of a capture of what was sent, in order: by how much the median
 *                                                   lateness of the last 1 % differs from that of the first 1 %,
 *                                                   in microseconds, and how many there were
 */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HEAD = 500, FRAME = 14 + 20 + 20 + HEAD, START = 1700000000 };

static void be16(uint8_t *at, unsigned value) { at[0] = value >> 8, at[1] = value; }
static void be32(uint8_t *at, uint32_t value) { be16(at, value >> 16), be16(at + 2, value & 0xffff); }

static int by_size(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double quantile(double *sorted, size_t count, double q) {
    size_t at = (size_t)(q * (double)count);
    return sorted[at < count ? at : count - 1];
}

static int capture(size_t count, double rate, unsigned connections) {
    pcap_t *dead = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, 65535, PCAP_TSTAMP_PRECISION_NANO);
    pcap_dumper_t *file = pcap_dump_fopen(dead, stdout);
    uint32_t *sequence = calloc(connections, sizeof *sequence);
    if (!file || !sequence) return 1;
    uint8_t frame[FRAME] = {[12] = 8, [14] = 0x45, [22] = 64, [23] = 6};
    be16(frame + 16, FRAME - 14);
    memcpy(frame + 26, "\x0a\0\0\x01\x0a\0\0\x02", 8);
    be16(frame + 36, 80);
    frame[46] = 0x50, frame[47] = 0x18;
    be16(frame + 48, 65535);
    char *head = (char *)frame + 54;
    int start = sprintf(head, "GET /api/orders/17?expand=items HTTP/1.1\r\nHost: v1.example\r\nCookie: session=");
    memset(head + start, 'a', (size_t)(HEAD - 4 - start));
    memcpy(head + HEAD - 4, "\r\n\r\n", 4);
    for (size_t i = 0; i < count; i++) {
        unsigned connection = (unsigned)(i % connections);
        double after = (double)i / rate;
        struct pcap_pkthdr header = {.caplen = FRAME, .len = FRAME};
        header.ts.tv_sec = START + (time_t)after;
        header.ts.tv_usec = (suseconds_t)((after - (double)(time_t)after) * 1e9);
        be16(frame + 34, 10000 + connection);
        be32(frame + 38, sequence[connection] += HEAD);
        pcap_dump((unsigned char *)file, &header, frame);
    }
    return pcap_dump_flush(file) ? 1 : 0;
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static int sleeping(size_t count, double rate) {
    double *late = calloc(count, sizeof *late);
    if (!late) return 1;
    double start = now() + 1000;
    for (size_t i = 0; i < count; i++) {
        double due = start + (double)i / rate * 1e6;
        struct timespec at = {(time_t)(due / 1e6), 0};
        at.tv_nsec = (long)((due - (double)at.tv_sec * 1e6) * 1e3);
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL)) {}
        late[i] = now() - due;
    }
    qsort(late, count, sizeof *late, by_size);
    printf("%.0f %.0f %.0f %.0f\n", quantile(late, count, 0.5), quantile(late, count, 0.99),
           quantile(late, count, 0.999), late[count - 1]);
    return 0;
}

static int drift(double rate) {
    char error[PCAP_ERRBUF_SIZE];
    pcap_t *file = pcap_fopen_offline_with_tstamp_precision(stdin, PCAP_TSTAMP_PRECISION_NANO, error);
    if (!file) return fprintf(stderr, "schedule: %s\n", error), 1;
    size_t count = 0, room = 0;
    double *late = NULL, first = 0;
    struct pcap_pkthdr *header;
    const uint8_t *bytes;
    while (pcap_next_ex(file, &header, &bytes) == 1) {
        if (count == room && !(late = realloc(late, (room = room * 2 + 1024) * sizeof *late))) return 1;
        double at = (double)(header->ts.tv_sec % 1000000) * 1e6 + (double)header->ts.tv_usec / 1e3;
        if (!count) first = at;
        late[count] = at - first - (double)count / rate * 1e6;
        count++;
    }
    size_t part = count / 100;
    if (!part) return fprintf(stderr, "schedule: %zu packets are too few\n", count), 1;
    qsort(late, part, sizeof *late, by_size);
    qsort(late + count - part, part, sizeof *late, by_size);
    printf("%.0f %zu\n", quantile(late + count - part, part, 0.5) - quantile(late, part, 0.5), count);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 5 && !strcmp(argv[1], "capture"))
        return capture(strtoul(argv[2], NULL, 10), atof(argv[3]), (unsigned)atoi(argv[4]));
    if (argc == 4 && !strcmp(argv[1], "sleep")) return sleeping(strtoul(argv[2], NULL, 10), atof(argv[3]));
    if (argc == 3 && !strcmp(argv[1], "drift")) return drift(atof(argv[2]));
    return fprintf(stderr, "schedule: see the top of schedule.c\n"), 2;
}
