/* mock.h - the mock of spec/mock, started for a benchmark. */
#ifndef TM_BENCH_MOCK_H
#define TM_BENCH_MOCK_H

#include <sys/types.h>

/* A mock-server that answers every question with about 1 KB; its port. It is beside the program, or
 * where TM_MOCK_SERVER says; whoever starts it ends it by SIGTERM. */
pid_t mock_start(int *port);

#endif
