# Sweep: Freeze start
# gnuplot sweep-start.gp                      writes sweep-start.svg
# gnuplot -e "format='png'" sweep-start.gp   writes sweep-start.png
if (!exists('format')) format = 'svg'
if (format eq 'png') {
  set terminal pngcairo noenhanced size 1440,1208 font 'sans,11' fontscale 2 linewidth 2 pointscale 2
} else {
  set terminal svg noenhanced dynamic size 720,604 font 'sans-serif,14'
}
set output 'sweep-start.'.format
set datafile separator comma
set datafile columnheaders
set border 3
set tics nomirror out
set grid lc rgb '#999999' lw 0.4 dt 3
set key samplen 3 reverse Left
set format '%h'
set multiplot
set lmargin at screen 0.12
set rmargin at screen 0.97
set key at screen 0.5, screen 0.08609271523178808 center top horizontal maxcols 2
set xrange [-0.04000000000000001:0.8400000000000001]
set samples 500

set ylabel 'top-1 (%)'
set offsets 0,0,graph 0.08,graph 0.08
set xtics ('' 0.0, '' 0.2, '' 0.5, '' 0.8)
set tmargin at screen 0.97
set bmargin at screen 0.5626317880794702
plot \
  '+' using 1:(65.89074227120337):(66.24925772879665) with filledcurves lc rgb '#7F7F7F' fs transparent solid 0.25 noborder notitle, \
  66.07000000000001 with lines lc rgb 'black' dt 2 title 'full QAT, mean ± standard error', \
  'sweep-start.csv' using (strcol('curve') eq 'SpQAT' ? column('position') : NaN):(column('top1')):(column('top1_error')) with yerrorbars lc rgb '#0072B2' pt 7 ps 0.9 lw 1.2 notitle, \
  'sweep-start.csv' using (strcol('curve') eq 'SpQAT' && column('is_number') == 1 ? column('position') : NaN):(column('top1')) with linespoints lc rgb '#0072B2' dt 1 pt 7 ps 0.9 title 'SpQAT', \
  'sweep-start.csv' using (strcol('curve') eq 'SpQAT' && column('is_number') == 0 ? column('position') : NaN):(column('top1')) with points lc rgb '#0072B2' pt 7 ps 0.9 notitle
set xtics ('0%%' 0.0, '20%%' 0.2, '50%%' 0.5, '80%%' 0.8)
unset key
set offsets 0,0,graph 0.08,0
set ylabel 'updates eliminated (%)'
set xlabel 'start of freezing (share or length of the run)'
set yrange [0:*]
set tmargin at screen 0.5126317880794702
set bmargin at screen 0.1986754966887417
plot \
  'sweep-start.csv' using (strcol('curve') eq 'SpQAT' ? column('position') : NaN):(column('eliminated')):(column('eliminated_error')) with yerrorbars lc rgb '#0072B2' pt 7 ps 0.9 lw 1.2 notitle, \
  'sweep-start.csv' using (strcol('curve') eq 'SpQAT' && column('is_number') == 1 ? column('position') : NaN):(column('eliminated')) with linespoints lc rgb '#0072B2' dt 1 pt 7 ps 0.9 notitle, \
  'sweep-start.csv' using (strcol('curve') eq 'SpQAT' && column('is_number') == 0 ? column('position') : NaN):(column('eliminated')) with points lc rgb '#0072B2' pt 7 ps 0.9 notitle
unset multiplot
set output
