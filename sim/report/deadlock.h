/* How deadlocks are written. Private to sim/report but for report_deadlock (report.h). */
#ifndef RAO_REPORT_DEADLOCK_H
#define RAO_REPORT_DEADLOCK_H

#include <jansson.h>

#include "sim/report/report.h"

/* "file.ptx:412 (kernel.cu:231)"; the second part where the PTX has .loc. insn: of Code.insns. */
void dead_source_line(const Code *c, uint32_t insn, char *text, size_t n);

/* "mbarrier full+0x8", "barrier 3" ... */
void dead_object(const Code *c, const DeadWait *w, char *text, size_t n);

/* The role of a warp, or "warp". */
const char *dead_role(const KernelReport *k, uint32_t warp);

/* {at_cycle, waits: [...], cycle: [...]} of DESIGN.md section 5. */
json_t *deadlock_json(const KernelReport *k, const Deadlock *d);

/* findings.c: [{kind, severity, kernel, text, at, other, object, detail, count, suppressed}]; at
 * and other: {what, file, line, source, role, warp, lane, block}. */
json_t *findings_json(const Checker *k);

#endif
