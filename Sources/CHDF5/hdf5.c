#include "CHDF5.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

herr_t chdf5_prepare(void) {
  if (H5open() < 0) return -1;
  // The stack is the thread's own in thread-safe builds, so this cannot be done once for all.
  return H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

hid_t chdf5_memory_type(chdf5_scalar scalar) {
  switch (scalar) {
    case CHDF5_FLOAT32: return H5T_NATIVE_FLOAT;
    case CHDF5_FLOAT64: return H5T_NATIVE_DOUBLE;
    case CHDF5_INT8: return H5T_NATIVE_INT8;
    case CHDF5_INT16: return H5T_NATIVE_INT16;
    case CHDF5_INT32: return H5T_NATIVE_INT32;
    case CHDF5_INT64: return H5T_NATIVE_INT64;
    case CHDF5_UINT8: return H5T_NATIVE_UINT8;
    case CHDF5_UINT16: return H5T_NATIVE_UINT16;
    case CHDF5_UINT32: return H5T_NATIVE_UINT32;
    case CHDF5_UINT64: return H5T_NATIVE_UINT64;
  }
  return H5I_INVALID_HID;
}

hid_t chdf5_stored_type(chdf5_scalar scalar) {
  switch (scalar) {
    case CHDF5_FLOAT32: return H5T_IEEE_F32LE;
    case CHDF5_FLOAT64: return H5T_IEEE_F64LE;
    case CHDF5_INT8: return H5T_STD_I8LE;
    case CHDF5_INT16: return H5T_STD_I16LE;
    case CHDF5_INT32: return H5T_STD_I32LE;
    case CHDF5_INT64: return H5T_STD_I64LE;
    case CHDF5_UINT8: return H5T_STD_U8LE;
    case CHDF5_UINT16: return H5T_STD_U16LE;
    case CHDF5_UINT32: return H5T_STD_U32LE;
    case CHDF5_UINT64: return H5T_STD_U64LE;
  }
  return H5I_INVALID_HID;
}

static hid_t string_type(size_t size, H5T_cset_t characters) {
  hid_t type = H5Tcopy(H5T_C_S1);
  if (type < 0) return type;
  if (H5Tset_size(type, size) < 0 || H5Tset_cset(type, characters) < 0 ||
      (size != H5T_VARIABLE && H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)) {
    H5Tclose(type);
    return H5I_INVALID_HID;
  }
  return type;
}

hid_t chdf5_fixed_string_type(size_t bytes, H5T_cset_t characters) { return string_type(bytes, characters); }

hid_t chdf5_variable_string_type(void) { return string_type(H5T_VARIABLE, H5T_CSET_UTF8); }

hid_t chdf5_boolean_type(void) {
  hid_t type = H5Tenum_create(H5T_STD_I8LE);
  if (type < 0) return type;
  const signed char no = 0, yes = 1;
  if (H5Tenum_insert(type, "FALSE", &no) < 0 || H5Tenum_insert(type, "TRUE", &yes) < 0) {
    H5Tclose(type);
    return H5I_INVALID_HID;
  }
  return type;
}

// HDF5 takes two files in memory of one name for the same file. Callers hold the one lock, so a plain counter will do.
static const char *unused_name(void) {
  static unsigned long long count;
  static char name[32];
  snprintf(name, sizeof name, "memory-%llu", ++count);
  return name;
}

static hid_t access_in_memory(void) {
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (access >= 0 && (H5Pset_fapl_core(access, 1 << 20, 0) < 0 || H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0)) {
    H5Pclose(access);
    return H5I_INVALID_HID;
  }
  return access;
}

hid_t chdf5_open_in_memory(const void *bytes, size_t size) {
  hid_t access = access_in_memory();
  if (access < 0) return access;
  hid_t file = H5I_INVALID_HID;
  // Copies the bytes, whatever the missing const says.
  if (H5Pset_file_image(access, (void *)bytes, size) >= 0) file = H5Fopen(unused_name(), H5F_ACC_RDONLY, access);
  // Closing the list clears the error stack, which says why opening failed.
  hid_t errors = H5Eget_current_stack();
  H5Pclose(access);
  H5Eset_current_stack(errors);
  return file;
}

hid_t chdf5_create_in_memory(void) {
  hid_t access = access_in_memory();
  hid_t creation = H5Pcreate(H5P_FILE_CREATE);
  hid_t file = H5I_INVALID_HID;
  if (access >= 0 && creation >= 0 && H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST) >= 0 &&
      H5Pset_obj_track_times(creation, 0) >= 0)
    file = H5Fcreate(unused_name(), H5F_ACC_TRUNC, creation, access);
  if (access >= 0) H5Pclose(access);
  if (creation >= 0) H5Pclose(creation);
  return file;
}

const void *chdf5_image(hid_t file, size_t *size) {
  if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0) return NULL;
  ssize_t bytes = H5Fget_file_image(file, NULL, 0);
  void **memory = NULL;
  if (bytes <= 0 || H5Fget_vfd_handle(file, H5P_DEFAULT, (void **)&memory) < 0 || memory == NULL) return NULL;
  *size = (size_t)bytes;
  return *memory;
}

hid_t chdf5_link_creation(void) {
  hid_t list = H5Pcreate(H5P_LINK_CREATE);
  if (list < 0) return list;
  if (H5Pset_char_encoding(list, H5T_CSET_UTF8) < 0 || H5Pset_create_intermediate_group(list, 1) < 0) {
    H5Pclose(list);
    return H5I_INVALID_HID;
  }
  return list;
}

static hid_t without_times(hid_t list) {
  if (list >= 0 && H5Pset_obj_track_times(list, 0) < 0) {
    H5Pclose(list);
    return H5I_INVALID_HID;
  }
  return list;
}

hid_t chdf5_group_creation(void) { return without_times(H5Pcreate(H5P_GROUP_CREATE)); }

hid_t chdf5_dataset_creation(void) { return without_times(H5Pcreate(H5P_DATASET_CREATE)); }

hid_t chdf5_attribute_creation(void) {
  hid_t list = H5Pcreate(H5P_ATTRIBUTE_CREATE);
  if (list >= 0 && H5Pset_char_encoding(list, H5T_CSET_UTF8) < 0) {
    H5Pclose(list);
    return H5I_INVALID_HID;
  }
  return list;
}

static H5T_conv_ret_t refuse_overflow(
    H5T_conv_except_t exception, hid_t from, hid_t to, void *source, void *destination, void *context) {
  (void)destination, (void)context;
  if (exception != H5T_CONV_EXCEPT_RANGE_HI && exception != H5T_CONV_EXCEPT_RANGE_LOW) return H5T_CONV_UNHANDLED;
  // HDF5 counts an infinity as out of range, though every floating-point type has it.
  if (H5Tequal(from, H5T_NATIVE_DOUBLE) > 0 && H5Tget_class(to) == H5T_FLOAT) {
    double value;
    memcpy(&value, source, sizeof value);
    if (isinf(value)) return H5T_CONV_UNHANDLED;
  }
  return H5T_CONV_ABORT;
}

// Every read needs it, and a property list is dear to make. Callers hold the one lock.
hid_t chdf5_strict_transfer(void) {
  static hid_t strict = H5I_INVALID_HID;
  if (strict >= 0) return strict;
  hid_t list = H5Pcreate(H5P_DATASET_XFER);
  if (list >= 0 && H5Pset_type_conv_cb(list, refuse_overflow, NULL) < 0) {
    H5Pclose(list);
    return H5I_INVALID_HID;
  }
  return strict = list;
}

hid_t chdf5_scalar_space(void) { return H5Screate(H5S_SCALAR); }

hid_t chdf5_simple_space(int rank, const hsize_t *dimensions) { return H5Screate_simple(rank, dimensions, NULL); }

hid_t chdf5_growing_space(hsize_t count) {
  hsize_t limit = H5S_UNLIMITED;
  return H5Screate_simple(1, &count, &limit);
}

struct names {
  chdf5_name_body body;
  void *context;
};

static herr_t add_link(hid_t group, const char *name, const H5L_info_t *information, void *context) {
  (void)group, (void)information;
  struct names *names = context;
  names->body(name, names->context);
  return 0;
}

static herr_t add_attribute(hid_t object, const char *name, const H5A_info_t *information, void *context) {
  (void)object, (void)information;
  struct names *names = context;
  names->body(name, names->context);
  return 0;
}

herr_t chdf5_link_names(hid_t group, chdf5_name_body body, void *context) {
  struct names names = {body, context};
  return H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, add_link, &names);
}

herr_t chdf5_attribute_names(hid_t object, chdf5_name_body body, void *context) {
  struct names names = {body, context};
  return H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, add_attribute, &names);
}

struct error_search {
  char *text;
  size_t size;
  hid_t minor;
  int found;
};

static herr_t look_at_error(unsigned depth, const H5E_error2_t *error, void *context) {
  struct error_search *search = context;
  if (depth == 0 && search->text != NULL && error->desc != NULL)
    snprintf(search->text, search->size, "%s", error->desc);
  if (error->min_num == search->minor) search->found = 1;
  return 0;
}

void chdf5_error_text(char *text, size_t size) {
  text[0] = 0;
  struct error_search search = {text, size, H5I_INVALID_HID, 0};
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, look_at_error, &search);
}

static int has_minor(hid_t minor) {
  struct error_search search = {NULL, 0, minor, 0};
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, look_at_error, &search);
  return search.found;
}

int chdf5_error_is_truncation(void) { return has_minor(H5E_TRUNCATED); }

int chdf5_error_is_conversion(void) { return has_minor(H5E_CANTCONVERT); }
