/* peak.h: fused multiply-adds a second that one core can do, with nothing else to do. */
#ifndef FIRN_TESTS_PEAK_H
#define FIRN_TESTS_PEAK_H

double peak_flops(const char *isa); /* 0 for an unknown one */

#endif
