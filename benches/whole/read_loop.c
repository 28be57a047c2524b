/* The floor for anything that reads a capture file: libpcap's bare loop over every packet. */
#include <pcap/pcap.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    char error[PCAP_ERRBUF_SIZE];
    pcap_t *file = pcap_open_offline(argc > 1 ? argv[1] : "-", error);
    struct pcap_pkthdr *header;
    const unsigned char *data;
    unsigned long packets = 0, bytes = 0, sum = 0;
    int got;

    if (!file) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    while ((got = pcap_next_ex(file, &header, &data)) == 1) {
        packets++;
        bytes += header->caplen;
        sum += data[0];
    }
    printf("%lu packets, %lu bytes, %lu\n", packets, bytes, sum);
    return got == PCAP_ERROR_BREAK ? 0 : 1;
}
