/* Every binder that isa.def names: exec_<name> of the row's last column. */
#ifndef RAO_FUNC_EXEC_DECL_H
#define RAO_FUNC_EXEC_DECL_H

#include "sim/func/exec.h"

#define INSN(id, syntax, types, tclass, exec) BindFn exec_##exec;
#include "isa/isa.def"
#undef INSN

BindFn exec_unsupported;

#endif
